import { describe, destroy, expect, test } from "@odoo/hoot";
import { advanceTime, mockDate } from "@odoo/hoot-mock";
import { mountWithCleanup, onRpc, patchWithCleanup } from "@web/../tests/web_test_helpers";
import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { CODE, COUPON_ID, found, loseConnection, mockServer, openOrder, settle } from "../utils";

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
    screen.wechatBarcodeReader = {
        wechatHandles: () => false,
        wechatScanAsOdoo: (code) => expect.step(`odoo ${code}`),
    };
    await settle();
    return { ...till, screen };
}

/** Leaving the screen lets go what it held. */
async function leave(screen) {
    destroy(screen);
    await settle();
    expect.verifySteps(["release"]);
}

const scanOf = (code, type = "product") => ({ raw: code, code, parsed: { type, code } });

test("the screen says until when a coupon is held; leaving lets it go", async () => {
    const { screen } = await mountPayment({ coupon: true });
    expect.verifySteps(["reserve"]);
    expect(".o_wechat_coupon").toHaveCount(1);
    expect(".o_wechat_coupon_state").toHaveText(/Reserved for this order until/);
    await leave(screen);
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
    await leave(screen);
});

test("a coupon can be scanned here, too", async () => {
    const { screen, order } = await mountPayment();
    expect(screen._wechatOnScan(scanOf(CODE))).toBe(true);
    await settle();
    expect(order.priceIncl).toBe(80);
    expect(".o_wechat_coupon").toHaveCount(1);
    expect.verifySteps(["lookup", "reserve"]);
    await leave(screen);
});

test("products are not looked up", async () => {
    const { screen, store, order } = await mountPayment();
    store.models["product.product"].get(5).update({ barcode: "6901234567892" });
    expect(screen._wechatOnScan(scanOf("6901234567892"))).toBe(true);
    await settle();
    expect(order.lines).toHaveLength(1);
    expect.verifySteps([]);
});

describe("cards and badges", () => {
    const CARD = "042123456789";

    test("the card of a customer whom the till knows is Odoo's and sent nowhere", async () => {
        const { screen, store } = await mountPayment();
        store.models["res.partner"].getFirst().update({ barcode: CARD });
        onRpc("res.partner", "search_read", () => expect.step("partners"));
        for (const type of ["client", "cashier", "product"]) {
            expect(screen._wechatOnScan(scanOf(CARD, type))).toBe(false);
        }
        await settle();
        expect.verifySteps([]);
    });

    test("that of a customer whom only the server knows is no coupon", async () => {
        const { screen } = await mountPayment();
        onRpc("res.partner", "search_read", () => {
            expect.step("partners");
            return [{ id: 900, name: "Somebody", barcode: CARD }];
        });
        expect(screen._wechatOnScan(scanOf(CARD, "client"))).toBe(true);
        await settle();
        expect.verifySteps(["partners", `odoo ${CARD}`]);
    });

    test("a coupon in the customers' range is found when no customer is", async () => {
        const { screen, order } = await mountPayment({ lookup: found({ code: CARD }) });
        expect(screen._wechatOnScan(scanOf(CARD, "client"))).toBe(true);
        await settle();
        expect(order.priceIncl).toBe(80);
        expect.verifySteps(["lookup", "reserve"]);
        await leave(screen);
    });

    test("a coupon in the employees' range is found when no employee is", async () => {
        const { screen, order } = await mountPayment({ lookup: found({ code: CARD }) });
        expect(screen._wechatOnScan(scanOf(CARD, "cashier"))).toBe(true);
        await settle();
        expect(order.priceIncl).toBe(80);
        expect.verifySteps(["lookup", "reserve"]);
        await leave(screen);
    });

    test("while nobody can say whether it is a customer's, it goes nowhere", async () => {
        const { screen, store } = await mountPayment();
        loseConnection(store);
        await screen._wechatScanPartner(scanOf(CARD, "client"), store.getOrder());
        await settle();
        expect.verifySteps([]);
    });
});

describe("another add-on has a use for a code here", () => {
    async function withHandler(answers) {
        const till = await mountPayment(answers);
        till.screen.wechatBarcodeReader.wechatHandles = (type) => type === "product";
        return till;
    }

    test("a product is left to it", async () => {
        const { screen, store } = await withHandler();
        store.models["product.product"].get(5).update({ barcode: "6901234567892" });
        expect(screen._wechatOnScan(scanOf("6901234567892"))).toBe(false);
        expect.verifySteps([]);
    });

    test("it gets what is no coupon", async () => {
        const lookup = { ok: false, code: "unknown_code", message: "No.", is_coupon: false };
        const { screen } = await withHandler({ lookup });
        expect(screen._wechatOnScan(scanOf("6901234567892"))).toBe(true);
        await settle();
        expect.verifySteps(["lookup", "odoo 6901234567892"]);
    });

    test("a coupon is a coupon all the same", async () => {
        const { screen, order } = await withHandler();
        expect(screen._wechatOnScan(scanOf(CODE))).toBe(true);
        await settle();
        expect(order.priceIncl).toBe(80);
        expect.verifySteps(["lookup", "reserve"]);
        await leave(screen);
    });
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
    await leave(screen);
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
    await leave(screen);
});

describe("while the customer pays electronically", () => {
    test("a coupon that was looked up meanwhile changes nothing", async () => {
        let answer;
        const pending = new Promise((resolve) => (answer = resolve));
        const { screen, store, order, desk } = await mountPayment({ lookup: () => pending });
        patchWithCleanup(desk.server, { notify: (message) => expect.step(message) });
        const { data } = order.addPaymentline(store.models["pos.payment.method"].getFirst());
        screen._wechatOnScan(scanOf(CODE));
        await settle();
        data.setPaymentStatus("waitingCard");
        answer(found());
        await settle();
        await settle();
        expect(data.amount).toBe(100);
        expect(order.priceIncl).toBe(100);
        expect.verifySteps([
            "lookup",
            "A payment is under way. Cancel it before you add a coupon.",
        ]);
    });

    test("what was paid with a coupon keeps it", async () => {
        const { desk, store, order } = await mountPayment({ coupon: true });
        expect.verifySteps(["reserve"]);
        patchWithCleanup(desk.server, { notify: (message) => expect.step(message) });
        const { data } = order.addPaymentline(store.models["pos.payment.method"].getFirst());
        expect(".o_wechat_coupon_remove").toHaveCount(1);
        data.setPaymentStatus("done");
        await settle();
        expect(".o_wechat_coupon_remove").toHaveCount(0);
        await desk.remove(order.wechatAppliedCoupons(), order);
        expect(order.priceIncl).toBe(80);
        expect.verifySteps(["A payment is under way. Cancel it before you take off a coupon."]);
    });
});
