import { destroy, expect, test } from "@odoo/hoot";
import { mountWithCleanup } from "@web/../tests/web_test_helpers";
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
