// Its patch must come first: ours builds on it.
import "@pos_loyalty/app/models/pos_order_line";
import { PosOrderline } from "@point_of_sale/app/models/pos_order_line";
import { toFen } from "@wechat_pay/app/utils/fen";
import { patch } from "@web/core/utils/patch";

// The server keeps quantities with two decimals, and a line has some.
const STEP = 0.01;

function roundQty(qty) {
    return Math.max(Math.round(qty / STEP), 1) * STEP;
}

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
        let products = null;
        if (reward.reward_type === "product") {
            products = reward.reward_product_ids;
        } else if (reward.discount_applicability === "specific") {
            products = reward.all_discount_product_ids;
        }
        const ids = products?.map(({ id }) => id);
        const matching = ids && goods.filter(({ product_id }) => ids.includes(product_id.id));
        const discounted = matching?.length ? matching : goods;
        const same = discounted.filter((line) => sameTaxes(line, this));
        return same.length ? same : discounted;
    },
    /** @returns {import("@wechat_coupon/app/utils/giveback").Discount} */
    get wechatDiscount() {
        return {
            fen: -toFen(this.prices.total_included),
            goods: this.wechatDiscounted.map(({ uuid }) => uuid),
        };
    },
    /** The lines that give this one back, of refunds that were not given up. */
    get wechatBackLines() {
        return (this.refund_orderline_ids || []).filter(
            ({ order_id }) => order_id.state !== "cancel"
        );
    },
    /**
     * @param {PosOrder|null} except a refund that does not count
     * @returns {number} fen that went back of this line; of goods it is negative
     */
    wechatBackFen(except) {
        return this.wechatBackLines
            .filter(({ order_id }) => order_id.uuid !== except?.uuid)
            .reduce((sum, line) => sum + toFen(line.prices.total_included), 0);
    },
    /**
     * Have a refund take back a part of this discount.
     *
     * Odoo counts what is left of a line by its quantity, so the part has one as well;
     * the price makes up for what its two decimals leave out.
     *
     * @param {PosOrder} refund
     * @param {number} due fen
     * @param {boolean} isLast whether nothing is left after this
     */
    wechatPutOnRefund(refund, due, isLast) {
        const mine = ({ order_id }) => order_id.uuid === refund.uuid;
        const [known, ...more] = this.wechatBackLines.filter(mine);
        more.forEach((line) => line.delete());
        if (due <= 0) {
            known?.delete();
            return;
        }
        const line = known || this._wechatNewRefundLine(refund);
        const total = -toFen(this.prices.total_included);
        const before = this.refundedQty + line.qty;
        const part = isLast ? this.qty - before : (this.qty * due) / total;
        const qty = roundQty(part);
        line.qty = -qty;
        line.price_unit = (this.price_unit * this.qty * due) / total / qty;
        const off = toFen(line.prices.total_included) - due;
        if (off) {
            // Taxes on top were rounded on their own.
            line.price_unit *= (due - off) / due;
        }
    },
    _wechatNewRefundLine(refund) {
        return this.models["pos.order.line"].create({
            qty: 0,
            price_unit: this.price_unit,
            product_id: this.product_id,
            order_id: refund,
            discount: this.discount,
            tax_ids: this.tax_ids.map((tax) => ["link", tax]),
            refunded_orderline_id: this,
            price_type: "automatic",
        });
    },
});

function sameTaxes(goods, discount) {
    const ids = (line, kept) =>
        line.tax_ids
            .filter(kept)
            .map(({ id }) => id)
            .sort((a, b) => a - b)
            .join();
    // Odoo's engine leaves fixed taxes out when it groups the lines for a discount.
    return ids(goods, (tax) => tax.amount_type !== "fixed") === ids(discount, () => true);
}
