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
    /** The goods that this discount of a coupon was given for. */
    get wechatDiscounted() {
        const reward = this.reward_id;
        const goods = this.order_id._get_regular_order_lines();
        let products = [];
        if (reward.reward_type === "product") {
            products = reward.reward_product_ids;
        } else if (reward.discount_applicability === "specific") {
            products = reward.all_discount_product_ids;
        }
        const ids = products.map(({ id }) => id);
        const matching = goods.filter(({ product_id }) => ids.includes(product_id.id));
        return matching.length ? matching : goods;
    },
    /**
     * How much of this discount goes back with goods that are given back.
     *
     * @param {Map<string, number>} chosen quantities to refund by the lines' uuids
     * @returns {number} a quantity of this line; what is left of it with the last goods
     */
    wechatRefundShare(chosen) {
        const goods = this.wechatDiscounted;
        const left = this.qty - this.refundedQty;
        const returned = (line) => chosen.get(line.uuid) || 0;
        if (left <= 0 || !goods.some(returned)) {
            return 0;
        }
        const isAll = goods.every(
            (line) => line.qty - line.refundedQty - returned(line) <= 0
        );
        if (isAll) {
            return left;
        }
        const price = (line, qty) => (line.prices.total_included / line.qty) * qty;
        const total = goods.reduce((sum, line) => sum + price(line, line.qty), 0);
        const part = goods.reduce((sum, line) => sum + price(line, returned(line)), 0);
        return Math.min(left, this.product_id.uom_id.round((part / total) * this.qty));
    },
});
