import OrderPaymentValidation from "@point_of_sale/app/utils/order_payment_validation";
import { patch } from "@web/core/utils/patch";

patch(OrderPaymentValidation.prototype, {
    /** Odoo would drop a line that is not done, while the customer is paying it. */
    async validateOrder() {
        if (this.pos.wechatPay.lineUnderWay(this.order)) {
            this.pos.wechatTellUnderWay();
            return false;
        }
        return super.validateOrder(...arguments);
    },
});
