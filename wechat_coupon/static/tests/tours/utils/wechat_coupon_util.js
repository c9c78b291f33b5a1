import * as Dialog from "@point_of_sale/../tests/generic_helpers/dialog_util";
import * as Order from "@point_of_sale/../tests/generic_helpers/order_widget_util";
import { negate, run, scan_barcode } from "@point_of_sale/../tests/generic_helpers/utils";
import * as PaymentScreen from "@point_of_sale/../tests/pos/tours/utils/payment_screen_util";
import * as ProductScreen from "@point_of_sale/../tests/pos/tours/utils/product_screen_util";
import * as ReceiptScreen from "@point_of_sale/../tests/pos/tours/utils/receipt_screen_util";
import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";

/** Open the register; the button is called otherwise in each language. */
export function open() {
    return [
        Chrome.startPoS(),
        { content: "open the register", trigger: ".modal .modal-footer .btn-primary", run: "click" },
        { content: "the till is open", trigger: negate(".modal") },
    ].flat();
}

export function scan(code) {
    return scan_barcode(code);
}

export function openPopup() {
    return {
        content: "open the coupons",
        trigger: ".product-screen .control-buttons .o_wechat_coupon_button",
        run: "click",
    };
}

/** The customer has a coupon that does not fit, and the dialogue says why. */
export function isWaitingFor(name, reason) {
    return {
        content: `${name} waits: ${reason}`,
        trigger: `.o_wechat_coupon_held button:contains("${name}"):contains("${reason}")`,
    };
}

export function tapHeld(name) {
    return {
        content: `use ${name} of the customer`,
        trigger: `.o_wechat_coupon_held button:contains("${name}")`,
        run: "click",
    };
}

export function isNoLongerOffered(name) {
    return {
        content: `${name} is on the order`,
        trigger: negate(`.o_wechat_coupon_held button:contains("${name}")`),
    };
}

/** Type a code in the dialogue of the button. */
export function type(code) {
    return [
        openPopup(),
        {
            content: `type ${code}`,
            trigger: ".o_wechat_coupon_popup input",
            run: `edit ${code}`,
        },
        {
            content: "look it up",
            trigger: ".o_wechat_coupon_popup .input-group .btn-primary:not([disabled])",
            run: "click",
        },
    ];
}

export function popupSays(text) {
    return {
        content: `the dialogue says ${text}`,
        trigger: `.o_wechat_coupon_message:contains("${text}")`,
    };
}

export function closePopup() {
    return [
        { content: "close the coupons", trigger: ".modal-footer .btn-secondary", run: "click" },
        { content: "closed", trigger: negate(".modal") },
    ];
}

export function isApplied(name, amount) {
    return {
        content: `${name} takes ${amount} off`,
        trigger: `.o_wechat_coupon.o_applied:contains("${name}"):has(.o_wechat_coupon_amount:contains("${amount}"))`,
    };
}

export function isWaiting(name, reason) {
    return {
        content: `${name} waits: ${reason}`,
        trigger: `.o_wechat_coupon.o_waiting:contains("${name}"):has(.o_wechat_coupon_state:contains("${reason}"))`,
    };
}

export function isHeld(text) {
    return {
        content: "the coupon is held for the order",
        trigger: `.payment-screen .o_wechat_coupon_state:contains("${text}")`,
    };
}

export function remove(name) {
    return {
        content: `take ${name} off`,
        trigger: `.o_wechat_coupon:contains("${name}") .o_wechat_coupon_remove`,
        run: "click",
    };
}

export function noCoupon() {
    return { content: "no coupon on the order", trigger: negate(".o_wechat_coupon") };
}

export function isRefused(text) {
    return [
        { content: `refused: ${text}`, trigger: `.modal-body:contains("${text}")` },
        Dialog.confirm(),
        { content: "the dialogue is closed", trigger: negate(".modal") },
    ];
}

/** The payment gate says why; the cashier goes back to the order as it was. */
export function refusedAtGate(text) {
    return [
        Dialog.bodyIs(text),
        {
            content: "back to the order",
            trigger: '.modal-footer .btn:contains("Back to the order")',
            run: "click",
        },
        { content: "the dialogue is closed", trigger: negate(".modal") },
    ];
}

export function isNotified(text) {
    return [
        {
            content: `told: ${text}`,
            trigger: `.o_notification:contains("${text}")`,
        },
        {
            content: "close the message",
            trigger: `.o_notification:has(:contains("${text}")) .o_notification_close`,
            run: "click",
        },
    ];
}

export function totalIs(amount) {
    return Order.hasTotal(amount);
}

/** On the list of orders, delete the one with this total. */
export function deleteOrderOf(total) {
    return {
        content: `delete the order of ${total}`,
        trigger: `.ticket-screen .order-row:has(:contains("${total}")) button.text-danger`,
        run: "click",
    };
}

/** Hold a coupon for an order with the same goods that only the server knows. */
export function heldElsewhere(code) {
    return run(async () => {
        const order = posmodel.getOrder();
        const coupon = order.wechatGuardedCoupons().find((card) => card.code === code);
        const [{ product_id }] = order.lines;
        const answer = await posmodel.data.call("pos.config", "wechat_coupon_reserve", [
            [posmodel.config.id],
            "11111111-2222-4333-8444-555555555555",
            [{ id: coupon.id, code }],
            {
                lines: [
                    { uuid: "x", product_id: product_id.id, qty: 2, price_total_fen: 12000 },
                ],
                total_fen: 12000,
            },
        ]);
        if (!answer.ok) {
            throw new Error(`the other order was refused: ${JSON.stringify(answer)}`);
        }
    }, "the coupon is held for another order");
}

/** The order's customer uses another coupon at another till. */
export function usedElsewhere(code) {
    return run(async () => {
        const order = posmodel.getOrder();
        const uuid = "11111111-2222-4333-8444-555555555556";
        const partner = order.getPartner().id;
        const [{ product_id }] = order.lines;
        const line = { uuid: "x", product_id: product_id.id, qty: 1, price_total_fen: 6000 };
        const cart = { lines: [line], total_fen: 6000 };
        const call = (name, ...args) =>
            posmodel.data.call("pos.config", name, [[posmodel.config.id], ...args]);
        const { coupon } = await call("wechat_coupon_lookup", code, uuid, partner, cart);
        const shown = [{ id: coupon.id, code }];
        const answer = await call("wechat_coupon_reserve", uuid, shown, cart, partner);
        if (!answer.ok) {
            throw new Error(`the other order was refused: ${JSON.stringify(answer)}`);
        }
    }, "the customer is at another till, too");
}

/** Fail unless the server holds this many coupons for the order on the screen. */
export function serverHolds(count) {
    return run(async () => {
        const { redemptions } = await posmodel.data.call("pos.config", "wechat_coupon_status", [
            [posmodel.config.id],
            posmodel.getOrder().uuid,
        ]);
        const held = redemptions.filter(({ state }) => state === "reserved");
        if (held.length !== count) {
            throw new Error(`held: ${JSON.stringify(redemptions)}, expected ${count}`);
        }
    }, `the server holds ${count}`);
}

export function payWithCash() {
    return [
        ...PaymentScreen.clickPaymentMethod("Cash"),
        ...PaymentScreen.clickValidate(),
        ...ReceiptScreen.receiptIsThere(),
    ];
}

export function receiptNames(name, code, amount) {
    return {
        content: `the receipt names ${name}`,
        trigger: `.pos-receipt .o_wechat_coupon_used:contains("${name}"):contains("${code}"):contains("${amount}")`,
    };
}

export function receiptSaved(amount) {
    return {
        content: `the receipt says what was saved: ${amount}`,
        trigger: `.pos-receipt .o_wechat_coupon_saved:contains("${amount}")`,
    };
}

export const addTea = (times) =>
    Array.from({ length: times }, () => ProductScreen.clickDisplayedProduct("Tea")).flat();

/** What the receipt of a refund says about the coupon of the goods. */
export function receiptSaysOfCoupon(text) {
    return [
        {
            content: `the receipt says of the coupon: ${text}`,
            trigger: `.pos-receipt .o_wechat_coupon_given_back:contains("${text}")`,
        },
    ];
}
