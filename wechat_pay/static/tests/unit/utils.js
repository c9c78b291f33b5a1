import { expect } from "@odoo/hoot";
import { animationFrame, tick } from "@odoo/hoot-dom";
import { getFilledOrder, setupPosEnv } from "@point_of_sale/../tests/unit/utils";
import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";
import { PaymentWechatPay } from "@wechat_pay/app/utils/payment/payment_wechat_pay";
import { mountWithCleanup, onRpc, patchWithCleanup } from "@web/../tests/web_test_helpers";

export const CODE = "134567890123456789";
export const METHOD_ID = 2;

export const statusOf = (state, more = {}) => ({
    state,
    number: "n1",
    way: "codepay",
    message: "",
    error: "",
    code_url: false,
    seconds: 40,
    payer_total: 0,
    promotions: [],
    transaction_id: "4200001",
    ...more,
});

/**
 * A server that knows what the test says; each call is a step.
 *
 * @param {Object} answers by name of the method, or functions of the argument
 */
export function mockServer(answers = {}) {
    const known = { status: { state: "none" }, cancel: { state: "none" }, ...answers };
    for (const name of ["start", "status", "cancel", "refund"]) {
        onRpc("pos.payment.method", `wechat_pay_${name}`, ({ args: [, value] }) => {
            const way = value.way ? ` ${value.way} ${value.code || ""}`.trimEnd() : "";
            expect.step(`${name}${way}`);
            const answer = known[name];
            return typeof answer === "function" ? answer(value) : answer;
        });
    }
    return known;
}

/** Let what was started come to its end. */
export async function settle() {
    for (let turn = 0; turn < 10; turn++) {
        await tick();
    }
    await animationFrame();
}

/** A till whose method “Card” is WeChat Pay, with an order. */
export async function openTill({ ways = "both" } = {}) {
    const store = await setupPosEnv();
    const method = store.models["pos.payment.method"].get(METHOD_ID);
    method.use_payment_terminal = "wechat_pay";
    method.wechat_ways = ways;
    method.payment_terminal = new PaymentWechatPay(store, method);
    store.config.auto_validate_terminal_payment = false;
    patchWithCleanup(store.wechatPay.server, { notify: (message) => expect.step(message) });
    const order = await getFilledOrder(store);
    return { store, method, order, desk: store.wechatPay, due: order.totalDue };
}

export async function openPayment(options) {
    const till = await openTill(options);
    const screen = await mountWithCleanup(PaymentScreen, {
        props: { orderUuid: till.order.uuid },
    });
    await settle();
    return { ...till, screen };
}
