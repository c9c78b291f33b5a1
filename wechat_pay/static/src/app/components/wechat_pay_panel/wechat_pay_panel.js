import { Component, useEffect } from "@odoo/owl";
import { WechatQrPopup } from "@wechat_pay/app/components/wechat_qr_popup/wechat_qr_popup";
import { useWechatPayment } from "@wechat_pay/app/hooks/wechat_payment_hook";
import { couponsOf } from "@wechat_pay/app/utils/payment/payment_view";
import { useService } from "@web/core/utils/hooks";

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
        this.dialog = useService("dialog");
        this.wechat = useWechatPayment(this.props.line);
        this.closeQr = () => {};
        useEffect(
            (url) => {
                if (url) {
                    this.openQr();
                    return () => this.closeQr();
                }
            },
            () => [this.wechat.payment?.codeUrl]
        );
    }

    get coupons() {
        return couponsOf(this.wechat.payment?.status || {}, this.env.utils.formatCurrency);
    }

    /** What the customer paid, where WeChat's coupons have paid the rest. */
    get payerTotal() {
        const { payer_total } = this.wechat.payment?.status || {};
        return this.coupons.length ? this.env.utils.formatCurrency(payer_total / 100) : "";
    }

    makeQr() {
        const { line, send } = this.props;
        line.payment_method_id.payment_terminal.wish(line.uuid, { way: "native" });
        send(line);
    }

    openQr() {
        const { line, cancel } = this.props;
        this.closeQr();
        this.closeQr = this.dialog.add(WechatQrPopup, { line, cancel });
    }
}
