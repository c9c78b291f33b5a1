// Its patch must come first: ours builds on it.
import "@pos_loyalty/app/utils/order_payment_validation";
import OrderPaymentValidation from "@point_of_sale/app/utils/order_payment_validation";
import { patch } from "@web/core/utils/patch";

/**
 * The validation gate. Quick payments have no payment screen, so it is here.
 */
patch(OrderPaymentValidation.prototype, {
    async validateOrder() {
        // Before pos_loyalty asks for points: its sentence would not say who has them.
        if (!(await this.pos.wechatCoupon.mayValidate(this.order))) {
            return false;
        }
        return super.validateOrder(...arguments);
    },
});
