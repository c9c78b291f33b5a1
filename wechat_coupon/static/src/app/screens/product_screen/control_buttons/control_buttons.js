// Its patch must come first: ours builds on it.
import "@pos_loyalty/app/screens/product_screen/control_buttons/control_buttons";
import { ControlButtons } from "@point_of_sale/app/screens/product_screen/control_buttons/control_buttons";
import { CouponPopup } from "@wechat_coupon/app/components/popups/coupon_popup/coupon_popup";
import { patch } from "@web/core/utils/patch";

patch(ControlButtons.prototype, {
    get wechatCouponCount() {
        return this.currentOrder?.wechatGuardedCoupons().length || 0;
    },
    wechatClickCoupons() {
        this.props.close?.();
        this.dialog.add(CouponPopup, {});
    },
});
