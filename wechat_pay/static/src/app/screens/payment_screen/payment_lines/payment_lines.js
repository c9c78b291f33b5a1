import { PaymentScreenPaymentLines } from "@point_of_sale/app/screens/payment_screen/payment_lines/payment_lines";
import { WechatPayPanel } from "@wechat_pay/app/components/wechat_pay_panel/wechat_pay_panel";
import { isWechatPay } from "@wechat_pay/app/services/wechat_pay_desk";
import { patch } from "@web/core/utils/patch";

patch(PaymentScreenPaymentLines, {
    components: { ...PaymentScreenPaymentLines.components, WechatPayPanel },
});

patch(PaymentScreenPaymentLines.prototype, {
    isWechatPay(line) {
        return isWechatPay(line);
    },
});
