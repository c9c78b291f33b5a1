// Its patch must come first: ours builds on it.
import "@pos_loyalty/app/screens/product_screen/order_summary/order_summary";
import { OrderSummary } from "@point_of_sale/app/screens/product_screen/order_summary/order_summary";
import { CouponList } from "@wechat_coupon/app/components/coupon_list/coupon_list";
import { patch } from "@web/core/utils/patch";

patch(OrderSummary, { components: { ...OrderSummary.components, CouponList } });

patch(OrderSummary.prototype, {
    /** Taking a coupon's line off takes the coupon off the order. */
    _setValue(val) {
        const order = this.currentOrder;
        const line = order.getSelectedOrderline();
        const card = line?.is_reward_line && val === "remove" ? line.coupon_id : undefined;
        if (!card?.wechatIsGuarded()) {
            return super._setValue(...arguments);
        }
        this.pos.wechatCoupon.remove([card], order);
    },
});
