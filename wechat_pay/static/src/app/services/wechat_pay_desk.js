import { paymentCodeOf } from "@wechat_pay/app/utils/payment_code";
import { TillServer } from "@wechat_pay/app/services/till_server";
import { _t } from "@web/core/l10n/translation";
import { reactive } from "@odoo/owl";

/** @returns {boolean} whether a payment line or a method is paid with WeChat */
export function isWechatPay(record) {
    const method = record?.payment_method_id || record;
    return method?.use_payment_terminal === "wechat_pay";
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
        this.payments[payment.uuid] = payment;
        return this.payments[payment.uuid];
    }

    isUnderWay(line) {
        const payment = this.paymentOf(line.uuid);
        return Boolean(payment) && !payment.isOver;
    }

    /** @returns {Object|undefined} a line of the order that WeChat is busy with */
    lineUnderWay(order) {
        return order.payment_ids.find((line) => isWechatPay(line) && this.isUnderWay(line));
    }

    notify(message, type) {
        this.server.notify(message, type);
    }

    /**
     * A payment code was scanned. It is charged on the payment screen and nowhere else,
     * and it is never looked up, shown or kept.
     *
     * @param {string} code clean
     * @returns {boolean} whether nobody else may have it
     */
    onPaymentCode(code) {
        const { models, sound } = this.pos;
        if (models["product.product"].getBy("barcode", code)) {
            return false;
        }
        if (this.screen) {
            this.screen.wechatTakeCode(code, paymentCodeOf(code));
            return true;
        }
        sound.play("error");
        this.notify(_t("This is a payment code. Go to payment to use it."));
        return true;
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
