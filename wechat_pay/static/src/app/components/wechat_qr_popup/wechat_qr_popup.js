import { Component } from "@odoo/owl";
import { Dialog } from "@web/core/dialog/dialog";
import { generateQRCodeDataUrl } from "@point_of_sale/utils";
import { useWechatPayment } from "@wechat_pay/app/hooks/wechat_payment_hook";

const SIZE = 260;

/**
 * The QR code that the customer scans, as large as the screen of a phone allows.
 */
export class WechatQrPopup extends Component {
    static template = "wechat_pay.WechatQrPopup";
    static components = { Dialog };
    static props = {
        line: Object,
        cancel: Function,
        close: Function,
    };

    setup() {
        this.wechat = useWechatPayment(this.props.line);
    }

    get qrCode() {
        const url = this.wechat.payment?.codeUrl;
        return url && generateQRCodeDataUrl(url, { width: SIZE, height: SIZE });
    }
}
