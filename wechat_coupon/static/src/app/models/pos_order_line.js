// Its patch must come first: ours builds on it.
import "@pos_loyalty/app/models/pos_order_line";
import { PosOrderline } from "@point_of_sale/app/models/pos_order_line";
import { patch } from "@web/core/utils/patch";

patch(PosOrderline.prototype, {
    /** Whether this line uses a coupon; the line of a refund gives the use back. */
    get wechatTakesOff() {
        return Boolean(
            this.is_reward_line && this.coupon_id && !this.refunded_orderline_id
        );
    },
});
