import { Component, onWillUnmount, useState } from "@odoo/owl";
import { usePos } from "@point_of_sale/app/hooks/pos_hook";
import { couponsOf, viewOf } from "@wechat_pay/app/utils/payment/payment_view";
import { generateQRCodeDataUrl } from "@point_of_sale/utils";

const TICK_MS = 1000;
const QR_SIZE = 220;

/**
 * Under a payment line of WeChat: what to do, what goes on, how long it may take.
 */
export class WechatPayPanel extends Component {
    static template = "wechat_pay.WechatPayPanel";
    static props = {
        line: Object,
        send: Function,
        cancel: Function,
        force: Function,
    };

    setup() {
        this.pos = usePos();
        this.payments = useState(this.pos.wechatPay.payments);
        this.clock = useState({ now: Date.now() });
        const timer = setInterval(() => (this.clock.now = Date.now()), TICK_MS);
        onWillUnmount(() => clearInterval(timer));
    }

    get payment() {
        return this.payments[this.props.line.uuid];
    }

    get isRefund() {
        return this.props.line.amount < 0;
    }

    get terminal() {
        return this.props.line.payment_method_id.payment_terminal;
    }

    get view() {
        const { line } = this.props;
        return viewOf({
            payment: this.payment,
            // A line that is being deleted is drawn once more.
            ways: line.payment_method_id?.wechat_ways,
            isDone: line.isDone(),
            isRefund: this.isRefund,
            now: Math.max(this.clock.now, Date.now()),
        });
    }

    get amount() {
        return this.env.utils.formatCurrency(Math.abs(this.props.line.amount));
    }

    get qrCode() {
        const url = this.payment?.codeUrl;
        return url && generateQRCodeDataUrl(url, { width: QR_SIZE, height: QR_SIZE });
    }

    get coupons() {
        return couponsOf(this.payment?.status || {}, this.env.utils.formatCurrency);
    }

    /** What the customer paid, where WeChat's coupons have paid the rest. */
    get payerTotal() {
        const { payer_total } = this.payment?.status || {};
        return this.coupons.length ? this.env.utils.formatCurrency(payer_total / 100) : "";
    }

    showQr() {
        this.terminal.wish(this.props.line.uuid, { way: "native" });
        this.props.send(this.props.line);
    }
}
