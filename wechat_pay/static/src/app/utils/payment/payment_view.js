/**
 * What a cashier and a customer read about a payment.
 */
import { _t } from "@web/core/l10n/translation";

// Patience with WeChat or the server, before the cashier may decide alone.
export const FORCE_AFTER_MS = 20000;

/**
 * @typedef {Object} PaymentView
 * @property {"idle"|"busy"|"refused"|"done"|"unproven"} tone
 * @property {string} title what to do, or what goes on
 * @property {string} text why, or what else to know
 * @property {number} seconds left for the customer, 0 when there is no limit
 * @property {string[]} actions `qr`, `reopen`, `cancel`, `force`, `refund`
 */

/**
 * @param {Object} options
 * @param {Object} [options.payment] a `WechatPayment` or `WechatRefund`
 * @param {string} options.ways of the payment method
 * @param {boolean} options.isDone whether the line is paid
 * @param {boolean} [options.isUnproven] whether only the cashier says so
 * @param {boolean} options.isRefund whether the line gives money back
 * @param {number} options.now
 * @returns {PaymentView}
 */
export function viewOf({ payment, ways, isDone, isUnproven, isRefund, now }) {
    if (isDone) {
        return isUnproven ? unprovenView(isRefund) : doneView(payment, isRefund);
    }
    if (payment && !payment.isOver) {
        return isRefund ? refundingView(payment, now) : payingView(payment, now);
    }
    const text = payment?.status.message || "";
    const tone = text ? "refused" : "idle";
    if (isRefund) {
        const isUnknown = payment?.state === "unknown";
        const title = isUnknown ? _t("Not known whether it is refunded") : _t("Not refunded yet");
        const actions = isUnknown ? ["refund", "force"] : ["refund"];
        return view({ tone, title, text, actions });
    }
    const actions = ways === "codepay" ? [] : ["qr"];
    return view({ tone, title: idleTitle(ways, text, payment?.status.error), text, actions });
}

function view({ tone = "busy", title, text = "", seconds = 0, actions = [] }) {
    return { tone, title, text, seconds, actions };
}

function idleTitle(ways, refused, error) {
    if (error === "config") {
        return _t("WeChat Pay does not work here");
    }
    if (ways === "native") {
        return refused ? _t("Not paid") : _t("Show the customer a QR code");
    }
    return refused
        ? _t("Not paid. Scan the customer's new payment code")
        : _t("Scan the customer's payment code");
}

function doneView(payment, isRefund) {
    if (isRefund && payment?.state === "pending") {
        return view({
            tone: "done",
            title: _t("WeChat is still working on it"),
            text: _t("You can go on; it is checked later."),
        });
    }
    const text = payment?.status.message || "";
    return view({ tone: "done", title: isRefund ? _t("Refunded") : _t("Paid"), text });
}

function unprovenView(isRefund) {
    return view({
        tone: "unproven",
        title: _t("Not confirmed by WeChat"),
        text: isRefund
            ? _t("You can go on. Whether the money goes back is checked later.")
            : _t("You have seen the payment on the customer's phone. It is checked later."),
    });
}

function refundingView(payment, now) {
    return view({
        title: _t("The money is being sent back…"),
        text: payment.problem,
        actions: mayForce(payment, now) ? ["force"] : [],
    });
}

function payingView(payment, now) {
    const { status, problem, deadline } = payment;
    const actions = payment.codeUrl && !payment.cancelling ? ["reopen"] : [];
    if (!payment.cancelling && payment.state !== "abnormal") {
        actions.push("cancel");
    }
    if (mayForce(payment, now)) {
        actions.push("force");
    }
    return view({
        title: payingTitle(payment),
        text: problem || status.message || "",
        seconds: deadline > now ? Math.ceil((deadline - now) / 1000) : 0,
        actions,
    });
}

function payingTitle({ cancelling, state, way, codeUrl }) {
    if (cancelling || state === "closing") {
        return _t("The payment is being cancelled…");
    }
    if (state === "abnormal") {
        return _t("Call the manager");
    }
    if (state === "unknown") {
        return _t("WeChat is being asked…");
    }
    if (way === "native") {
        return codeUrl ? _t("Waiting for the customer to scan") : _t("Making a QR code…");
    }
    return state === "waiting"
        ? _t("Waiting for the customer's password")
        : _t("The customer is being charged…");
}

/** Nobody can say what becomes of it, for longer than a customer waits. */
function mayForce(payment, now) {
    const { troubleSince } = payment;
    return isForceable(payment) && troubleSince && now - troubleSince >= FORCE_AFTER_MS;
}

/**
 * Whether the cashier's word may count. It does not for what is being given up: the
 * money goes back, and an order that counts on it would not be paid.
 *
 * @param {Object} payment a `WechatPayment` or `WechatRefund`
 * @returns {boolean}
 */
export function isForceable({ isRefund, isOver, state, cancelling, cancelAsked }) {
    if (isRefund) {
        return !isOver || state === "unknown";
    }
    return !isOver && !cancelling && !cancelAsked && state !== "closing";
}

/**
 * What a receipt says about a payment: WeChat's coupons, what the customer paid, and
 * the number by which WeChat finds it.
 *
 * @param {Object} status of a payment that is done
 * @param {function(number): string} formatCurrency
 * @returns {string} lines
 */
export function receiptOf(status, formatCurrency) {
    const rows = couponsOf(status, formatCurrency).map(({ name, amount }) => `${name}: ${amount}`);
    if (rows.length) {
        const amount = formatCurrency(status.payer_total / 100);
        rows.push(_t("Paid by the customer: %(amount)s", { amount }));
    }
    rows.push(_t("WeChat Pay number: %(number)s", { number: status.transaction_id }));
    return rows.join("\n");
}

/** @returns {{name: string, amount: string}[]} WeChat's coupons in a payment */
export function couponsOf({ promotions = [] }, formatCurrency) {
    return promotions.map(({ name, amount }) => ({
        name: name || _t("WeChat coupon"),
        amount: formatCurrency(-amount / 100),
    }));
}
