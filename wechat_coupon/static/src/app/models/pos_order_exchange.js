// Its patch must come first: ours builds on it.
import "@pos_loyalty/app/models/pos_order";
import { PosOrder } from "@point_of_sale/app/models/pos_order";
import { patch } from "@web/core/utils/patch";

patch(PosOrder.prototype, {
    /**
     * Odoo takes a fixed amount off. With an exchange coupon one piece of the product
     * has a fixed price, so the amount depends on the product's price on this order.
     */
    _getRewardLineValuesDiscount({ reward }) {
        const values = super._getRewardLineValuesDiscount(...arguments);
        if (!reward.wechat_is_exchange || !Array.isArray(values)) {
            return values;
        }
        const { discountable } = this._getDiscountableOnSpecific(reward);
        const most = Math.min(this.priceIncl, discountable);
        const given = Math.min(most, reward.discount);
        const wanted = Math.min(most, this._wechatExchangeDiscount(reward));
        if (wanted <= 0 || given <= 0) {
            return [];
        }
        return values.map((line) => ({
            ...line,
            price_unit: line.price_unit * (wanted / given),
        }));
    },
    /** @returns {number} what the dearest piece costs above the fixed price, with taxes */
    _wechatExchangeDiscount(reward) {
        const ids = reward.all_discount_product_ids.map(({ id }) => id);
        const prices = this._get_regular_order_lines()
            .filter((line) => ids.includes(line.product_id.id) && line.getQuantity() > 0)
            .map((line) => line.prices.total_included / Math.max(line.getQuantity(), 1));
        return Math.max(0, ...prices) - reward.wechat_exchange_price;
    },
});
