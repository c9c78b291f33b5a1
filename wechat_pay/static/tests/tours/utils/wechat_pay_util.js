import { negate, run } from "@point_of_sale/../tests/generic_helpers/utils";
import { cookie } from "@web/core/browser/cookie";
import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";
import * as PaymentScreen from "@point_of_sale/../tests/pos/tours/utils/payment_screen_util";
import * as ProductScreen from "@point_of_sale/../tests/pos/tours/utils/product_screen_util";
import * as ReceiptScreen from "@point_of_sale/../tests/pos/tours/utils/receipt_screen_util";

// The back office loads this file as well, and has nothing of the till: what is longer
// than the till waits is written here.
const LONG_DOUBT_MS = 60000;

/** Open the register; the button is called otherwise in each language. */
export function open() {
    return [
        Chrome.startPoS(),
        { content: "open the register", trigger: ".modal .modal-footer .btn-primary", run: "click" },
        { content: "the till is open", trigger: negate(".modal") },
    ].flat();
}

/** Ask the customer's phone, which the test plays: `phone_<name>` in Python. */
async function phone(name, options = {}) {
    const query = new URLSearchParams(options);
    const answer = await fetch(`${cookie.get("wechat_phone")}/${name}?${query}`);
    return answer.json();
}

/** The customer, or WeChat, does something. */
export function onPhone(name, options) {
    return run(() => phone(name, options), `phone: ${name} ${JSON.stringify(options || {})}`);
}

/** A scanner presses keys and lets them go; the amount's buffer hears the latter. */
function type(code) {
    for (const key of [...code, "Enter"]) {
        for (const name of ["keydown", "keyup"]) {
            document.body.dispatchEvent(new KeyboardEvent(name, { key, bubbles: true }));
        }
    }
}

/** Scan the payment code that the customer's phone shows. */
export function scanPhone(options) {
    return run(async () => {
        const code = await phone("code", options);
        type(code);
    }, "scan the customer's phone");
}

export function scan(code) {
    return run(() => type(code), `scan ${code}`);
}

/** Another till charges a customer for the order on the screen. */
export function paidElsewhere() {
    return run(async () => {
        const order = posmodel.getOrder();
        const fen = Math.round(order.totalDue * 100);
        const method = posmodel.models["pos.payment.method"].find(
            ({ use_payment_terminal }) => use_payment_terminal === "wechat_pay"
        );
        const { state } = await posmodel.data.call("pos.payment.method", "wechat_pay_start", [
            [method.id],
            {
                config: posmodel.config.id,
                order: order.uuid,
                line: "11111111-2222-4333-8444-555555555555",
                name: "1",
                amount: fen,
                total: fen,
                way: "codepay",
                code: await phone("code"),
            },
        ]);
        if (state !== "done") {
            throw new Error(`the other till was refused: ${state}`);
        }
    }, "the other till charges for this order");
}

export const addTea = (times = 1) =>
    Array.from({ length: times }, () => ProductScreen.clickDisplayedProduct("Tea")).flat();

/** A new order of so many teas, on the payment screen. */
export function orderTea(times = 1) {
    return [addTea(times), ProductScreen.clickPayButton()].flat();
}

export function choose() {
    return PaymentScreen.clickPaymentMethod("WeChat Pay");
}

export function says(text) {
    return { content: `the panel says ${text}`, trigger: `.o_wechat_pay:contains("${text}")` };
}

export function countsDown() {
    return { content: "the seconds left are shown", trigger: ".o_wechat_pay_seconds" };
}

export function shows(action) {
    return { content: `${action} is offered`, trigger: `.o_wechat_pay_${action}` };
}

export function offersNot(action) {
    return { content: `${action} is not offered`, trigger: negate(`.o_wechat_pay_${action}`) };
}

export function click(action) {
    return { content: `click ${action}`, trigger: `.o_wechat_pay_${action}`, run: "click" };
}

export function isNotified(text) {
    return [
        { content: `told: ${text}`, trigger: `.o_notification:contains("${text}")` },
        {
            content: "close the message",
            trigger: `.o_notification:contains("${text}") .o_notification_close`,
            run: "click",
        },
        { content: "it is closed", trigger: negate(`.o_notification:contains("${text}")`) },
    ];
}

export function dialogSays(text) {
    return [
        { content: `the dialogue says ${text}`, trigger: `.modal-body:contains("${text}")` },
        { content: "close it", trigger: ".modal-footer .btn-primary", run: "click" },
        { content: "it is closed", trigger: negate(".modal") },
    ];
}

/** The clock is moved instead of waiting for it. */
export function afterLongDoubt() {
    return run(() => {
        const { uuid } = posmodel.getOrder().getSelectedPaymentline();
        posmodel.wechatPay.paymentOf(uuid).troubleSince -= LONG_DOUBT_MS;
    }, "the doubt has lasted long enough");
}

export function noOrder(text) {
    const trigger = negate(`.order-row:contains("${text}")`);
    return { content: `no order in the list has ${text}`, trigger };
}

export function noLine() {
    return { content: "the line is gone", trigger: negate(".paymentlines .paymentline") };
}

/** The order is paid and validated by itself. */
export function receiptSays(...texts) {
    return [
        ReceiptScreen.receiptIsThere(),
        texts.map((text) => ({
            content: `the receipt says ${text}`,
            trigger: `.pos-receipt:contains("${text}")`,
        })),
    ].flat();
}

export function nextOrder() {
    return ReceiptScreen.clickNextOrder();
}

/** Neither the till's records nor the browser's storage hold a payment code. */
export function keepsNoCode() {
    return run(async () => {
        const isCode = /(?<!\d)1[0-5]\d{16}(?!\d)/;
        const order = posmodel.getOrder();
        const records = [order.serializeForORM(), ...order.payment_ids.map((p) => p.raw)];
        const stored = await posmodel.data.indexedDB.readAll(["pos.order", "pos.payment"]);
        for (const text of [records, stored].map((value) => JSON.stringify(value ?? ""))) {
            // Its own number at WeChat is longer than a payment code.
            if (isCode.test(text)) {
                throw new Error("a payment code is kept");
            }
        }
    }, "no payment code is kept");
}
