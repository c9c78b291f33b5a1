import { nomenclatureKnows, paymentCodeOf } from "@wechat_pay/app/utils/payment_code";
import { TillServer } from "@wechat_pay/app/services/till_server";
import { _t } from "@web/core/l10n/translation";
import { reactive } from "@odoo/owl";

/** @returns {boolean} whether a payment line or a method is paid with WeChat */
export function isWechatPay(record) {
    const method = record?.payment_method_id || record;
    return method?.use_payment_terminal === "wechat_pay";
}

/** @returns {boolean} whether the money of a line has moved, as far as the till knows */
export function isSettled(line) {
    return Boolean(line.getPaymentStatus()) && line.isDone();
}

/** @returns {boolean} whether only the cashier says that a line is paid, or refunded */
export function isUnproven(line) {
    return isSettled(line) && !line.payment_ref_no;
}

/**
 * The door for the screens and scanners to everything the till does with WeChat Pay.
 *
 * It holds what is under way at this page, by line; the server's answers are not saved
 * in the browser, because after a reload the server is asked anew.
 */
export class WechatPayDesk {
    constructor(pos) {
        this.pos = pos;
        this.server = new TillServer(pos);
        this.payments = reactive({});
        // The payment screen, while it is shown.
        this.screen = null;
    }

    /** @returns {WechatPayment|WechatRefund|undefined} the line's last attempt */
    paymentOf(uuid) {
        return this.payments[uuid];
    }

    keep(payment) {
        this._forgetFinished();
        this.payments[payment.uuid] = payment;
        return this.payments[payment.uuid];
    }

    /** What is over is shown until its order is saved, or gone. */
    _forgetFinished() {
        for (const [uuid, payment] of Object.entries(this.payments)) {
            const order = this.pos.models["pos.payment"].getBy("uuid", uuid)?.pos_order_id;
            if (payment.isOver && (!order || (order.finalized && order.isSynced))) {
                delete this.payments[uuid];
            }
        }
    }

    /** @returns {boolean} whether the till may charge payment codes */
    get takesPayments() {
        return this.pos.config.payment_method_ids.some(isWechatPay);
    }

    isUnderWay(line) {
        const payment = this.paymentOf(line.uuid);
        return Boolean(payment) && !payment.isOver;
    }

    /**
     * Before lines are dropped: what was ever sent for them is cancelled.
     *
     * @param {Object[]} lines of an order
     * @returns {Promise<boolean>} whether no money moves by them; otherwise the cashier
     *     has been told why
     */
    async letGo(lines) {
        for (const line of lines.filter(isWechatPay)) {
            const terminal = line.payment_method_id.payment_terminal;
            if (terminal && !isSettled(line) && !(await terminal.letGo(line))) {
                return false;
            }
        }
        return true;
    }

    notify(message, type) {
        this.server.notify(message, type);
    }

    /**
     * What may be a payment code was scanned. It is charged on the payment screen and
     * nowhere else, and it is never looked up, shown or kept.
     *
     * @param {string} code clean
     * @param {Object|Object[]|null} [parsed] by the nomenclature
     * @returns {boolean} whether nobody else may have it
     */
    onPaymentCode(code, parsed = null) {
        const wallet = paymentCodeOf(code);
        const isCharged = Boolean(this.screen) && wallet === "wechat";
        if (!this.takesPayments || (!isCharged && nomenclatureKnows(parsed))) {
            return false;
        }
        if (this.pos.models["product.product"].getBy("barcode", code)) {
            return false;
        }
        this._dropKeys();
        if (this.screen) {
            this.screen.wechatTakeCode(code, wallet);
            return true;
        }
        this.pos.sound.play("error");
        this.notify(_t("This is a payment code. Go to payment to use it."));
        return true;
    }

    /**
     * The scanner's key strokes wait in the number buffer, and would become the line's
     * amount. A key that is none makes the buffer throw away all that waits.
     */
    _dropKeys() {
        this.pos.numberBuffer.sendKey("scan");
        this.pos.numberBuffer.capture();
    }

    /** The server says that something has changed; it may be for another till. */
    onChange({ line }) {
        const payment = this.paymentOf(line);
        if (payment && !payment.isOver) {
            payment.poll();
        }
    }

    /** After a reload: follow what was under way. */
    resumeAll() {
        for (const order of this.pos.models["pos.order"].filter((o) => !o.finalized)) {
            this.resume(order.payment_ids.filter((line) => line.getPaymentStatus() === "waiting"));
        }
    }

    resume(lines) {
        for (const line of lines) {
            if (isWechatPay(line) && line.payment_method_id.payment_terminal) {
                line.payment_method_id.payment_terminal.resume(line);
            }
        }
    }

    /** A line is done: finish its order, or tell the cashier who is elsewhere. */
    paid(line) {
        const order = line.pos_order_id;
        if (this.screen?.currentOrder?.uuid === order.uuid) {
            return this.screen.wechatFinish(order);
        }
        this.notify(
            _t("%(order)s has been paid with WeChat: %(amount)s. Open it to finish it.", {
                order: order.getName(),
                amount: this.pos.env.utils.formatCurrency(line.amount),
            }),
            "success"
        );
    }
}
