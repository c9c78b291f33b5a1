import { describe, destroy, expect, test } from "@odoo/hoot";
import { mountWithCleanup, patchWithCleanup } from "@web/../tests/web_test_helpers";
import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { CODE, COUPON_ID, found, mockServer, openOrder, settle, takePayments } from "../utils";

definePosModels();

/** The payment screen of an order with a coupon, which maybe wants WeChat Pay. */
async function mountPayment({ linked = true, ...answers } = {}) {
    mockServer({ lookup: found({ linked }), ...answers });
    const till = await openOrder(100);
    takePayments(till.store);
    await till.desk.activate(CODE);
    await settle();
    await till.store.pay();
    const screen = await mountWithCleanup(PaymentScreen, {
        props: { orderUuid: till.order.uuid },
    });
    patchWithCleanup(till.desk.server, { notify: (message) => expect.step(message) });
    patchWithCleanup(till.store.dialog, {
        add: (component, { title }) => expect.step(title),
    });
    await settle();
    expect.verifySteps(["lookup", "reserve"]);
    const [wechat, cash] = till.store.config.payment_method_ids;
    return { ...till, screen, wechat, cash };
}

const SENTENCE =
    "20 off 0 can be used only if the customer pays with WeChat Pay. Take the payment with WeChat Pay, or take the coupon off.";
const TITLE = "This coupon needs WeChat Pay";

async function leave(screen) {
    destroy(screen);
    await settle();
    expect.verifySteps(["release"]);
}

describe("a coupon that is used with a WeChat payment", () => {
    test("the cashier is told from the beginning", async () => {
        const { screen } = await mountPayment();
        expect(".o_wechat_coupon_state").toHaveText(/^Only with WeChat Pay\. Reserved/);
        await leave(screen);
    });

    test("nothing else is taken before WeChat Pay", async () => {
        const { screen, order, cash } = await mountPayment();
        expect(await screen.addNewPaymentLine(cash)).toBe(false);
        expect(order.payment_ids).toHaveLength(0);
        expect.verifySteps([SENTENCE]);
        await leave(screen);
    });

    test("beside WeChat Pay the rest may come another way", async () => {
        const { screen, order, wechat, cash } = await mountPayment();
        order.addPaymentline(wechat).data.setAmount(50);
        await screen.addNewPaymentLine(cash);
        expect(order.payment_ids).toHaveLength(2);
        expect.verifySteps([]);
        await leave(screen);
    });

    test("an order without it is not finished", async () => {
        const { screen, desk, order, cash } = await mountPayment();
        order.addPaymentline(cash);
        expect(await desk.mayValidate(order)).toBe(false);
        expect.verifySteps([TITLE]);
        await leave(screen);
    });

    test("paid with WeChat, it is", async () => {
        const { desk, order, wechat } = await mountPayment();
        order.addPaymentline(wechat).data.setPaymentStatus("done");
        expect(await desk.mayValidate(order)).toBe(true);
        expect.verifySteps([]);
    });

    test("money that was taken electronically stays: the manager looks at it", async () => {
        const { desk, order, cash } = await mountPayment();
        cash.use_payment_terminal = "other";
        order.addPaymentline(cash).data.setPaymentStatus("done");
        desk.mayValidate(order);
        await settle();
        expect.verifySteps([TITLE]);
    });

    test("each payment begins with the coupon held", async () => {
        let times = 0;
        const refusals = [{ coupon_id: COUPON_ID, code: "used", message: "Used." }];
        const { screen, order, wechat } = await mountPayment({
            reserve: () =>
                times++
                    ? { ok: false, refusals }
                    : { ok: true, expires_at: "2099-01-01T00:00:00Z", redemption_ids: [1] },
        });
        const { data } = order.addPaymentline(wechat);
        patchWithCleanup(data, { pay: () => expect.step("charged") });
        expect(await screen.sendPaymentRequest(data)).toBe(false);
        expect.verifySteps(["reserve", "A coupon cannot be used"]);
        await leave(screen);
    });
});

test("other coupons do not ask how the customer pays", async () => {
    const { screen, order, desk, cash } = await mountPayment({ linked: false });
    expect(".o_wechat_coupon_state").toHaveText(/^Reserved/);
    await screen.addNewPaymentLine(cash);
    expect(order.payment_ids).toHaveLength(1);
    expect(await desk.mayValidate(order)).toBe(true);
    await leave(screen);
});
