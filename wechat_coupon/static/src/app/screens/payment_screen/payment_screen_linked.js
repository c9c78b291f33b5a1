// Its patches must come first: ours builds on them.
import "@wechat_coupon/app/screens/payment_screen/payment_screen";
import "@wechat_pay/app/screens/payment_screen/payment_screen";
import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";
import { isWechatPay } from "@wechat_pay/app/services/wechat_pay_desk";
import { patch } from "@web/core/utils/patch";

patch(PaymentScreen.prototype, {
    /** WeChat Pay comes first where a coupon is good for nothing without it. */
    async addNewPaymentLine(paymentMethod) {
        const order = this.currentOrder;
        if (
            order.wechatLinkedCoupons().length &&
            !isWechatPay(paymentMethod) &&
            !order.wechatHasWechatPayment()
        ) {
            const desk = this.pos.wechatCoupon;
            desk.notify(desk.linkedSentence(order), "warning");
            return false;
        }
        return super.addNewPaymentLine(...arguments);
    },
    async sendPaymentRequest(line) {
        const order = this.currentOrder;
        if (isWechatPay(line) && !(await this.pos.wechatCoupon.mayCharge(order))) {
            return false;
        }
        return super.sendPaymentRequest(...arguments);
    },
});
