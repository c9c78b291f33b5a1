import { destroy, expect, test } from "@odoo/hoot";
import { advanceTime, mockDate } from "@odoo/hoot-mock";
import { mountWithCleanup, patchWithCleanup } from "@web/../tests/web_test_helpers";
import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { CODE, COUPON_ID, found, mockServer, openOrder, settle } from "../utils";

definePosModels();

const { DateTime } = luxon;

async function mountPayment({ coupon = false, ...answers } = {}) {
    mockServer({ lookup: found(), ...answers });
    const till = await openOrder(100);
    if (coupon) {
        await till.desk.activate(CODE);
        await settle();
        expect.verifySteps(["lookup"]);
    }
    await till.store.pay();
    const screen = await mountWithCleanup(PaymentScreen, {
        props: { orderUuid: till.order.uuid },
    });
    await settle();
    return { ...till, screen };
}

const scanOf = (code, type = "product") => ({ raw: code, code, parsed: { type, code } });

test("the screen says until when a coupon is held; leaving lets it go", async () => {
    const { screen } = await mountPayment({ coupon: true });
    expect.verifySteps(["reserve"]);
    expect(".o_wechat_coupon").toHaveCount(1);
    expect(".o_wechat_coupon_state").toHaveText(/Reserved for this order until/);
    destroy(screen);
    await settle();
    expect.verifySteps(["release"]);
});

test("after a reload the server is asked what it holds", async () => {
    const expires_at = DateTime.utc().plus({ minutes: 9 }).toISO();
    mockServer({
        lookup: found(),
        status: {
            ok: true,
            redemptions: [{ coupon_id: COUPON_ID, state: "reserved", expires_at }],
        },
    });
    const { desk, order, store } = await openOrder(100);
    await desk.activate(CODE);
    await settle();
    order.uiState.wechatReservation = null;
    const screen = await mountWithCleanup(PaymentScreen, { props: { orderUuid: order.uuid } });
    await settle();
    expect(order.wechatHoldsExactly(order.wechatAppliedCoupons())).toBe(true);
    expect(store.getOrder().priceIncl).toBe(80);
    expect.verifySteps(["lookup", "status"]);
    destroy(screen);
    await settle();
    expect.verifySteps(["release"]);
});

test("a coupon can be scanned here, too", async () => {
    const { screen, order } = await mountPayment();
    expect(screen._wechatOnScan(scanOf(CODE))).toBe(true);
    await settle();
    expect(order.priceIncl).toBe(80);
    expect(".o_wechat_coupon").toHaveCount(1);
    expect.verifySteps(["lookup", "reserve"]);
    destroy(screen);
    await settle();
    expect.verifySteps(["release"]);
});

test("payment codes and products are not looked up", async () => {
    const { screen, store, order } = await mountPayment();
    store.models["product.product"].get(5).update({ barcode: "6901234567892" });
    expect(screen._wechatOnScan(scanOf("134567890123456789"))).toBe(true);
    expect(screen._wechatOnScan(scanOf("6901234567892"))).toBe(true);
    await settle();
    expect(order.lines).toHaveLength(1);
    expect.verifySteps([]);
});

test("a slow customer keeps the coupon: it is renewed while the screen is open", async () => {
    mockDate("2031-05-01 10:00:00", 0);
    const lasting = (minutes) => ({
        ok: true,
        expires_at: DateTime.utc().plus({ minutes }).toISO(),
        redemption_ids: [1],
    });
    const { screen, order } = await mountPayment({ coupon: true, reserve: () => lasting(3) });
    expect.verifySteps(["reserve"]);
    await advanceTime(100000);
    await settle();
    expect.verifySteps([]);
    await advanceTime(30000);
    await settle();
    expect.verifySteps(["reserve"]);
    expect(order.uiState.wechatReservation.until - Date.now()).toBeGreaterThan(120000);
    destroy(screen);
    await settle();
    expect.verifySteps(["release"]);
    await advanceTime(300000);
    expect.verifySteps([]);
});

test("a renewal that is refused is told once", async () => {
    mockDate("2031-05-01 10:00:00", 0);
    const expires_at = "2031-05-01T10:01:00Z";
    let times = 0;
    const refusals = [{ coupon_id: COUPON_ID, code: "void", message: "Made invalid." }];
    const { screen, desk } = await mountPayment({
        coupon: true,
        reserve: () => (times++ ? { ok: false, refusals } : { ok: true, expires_at }),
    });
    patchWithCleanup(desk.server, { notify: (message) => expect.step(message) });
    expect.verifySteps(["reserve"]);
    await advanceTime(50000);
    await settle();
    await advanceTime(20000);
    await settle();
    expect.verifySteps(["reserve", "20 off 0 (****7890): Made invalid."]);
    destroy(screen);
    await settle();
    expect.verifySteps(["release"]);
});
