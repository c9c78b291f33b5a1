// Its patch must come first: ours builds on it.
import "@wechat_coupon/app/models/pos_order";
import { PosOrder } from "@point_of_sale/app/models/pos_order";
import { discountBack, isAllBack, payable } from "@wechat_coupon/app/utils/giveback";
import { toFen } from "@wechat_pay/app/utils/fen";
import { patch } from "@web/core/utils/patch";

patch(PosOrder.prototype, {
    initState() {
        super.initState();
        // What the server said of the coupons of goods that this refund gives back.
        this.uiState.wechatGivenBack = this.uiState.wechatGivenBack || null;
    },
    restoreState() {
        super.restoreState(...arguments);
        this.uiState.wechatGivenBack ||= null;
    },
    /** The orders whose goods this one gives back. */
    wechatRefundedOrders() {
        const orders = this.lines
            .map((line) => line.refunded_orderline_id?.order_id)
            .filter(Boolean);
        return [...new Map(orders.map((order) => [order.uuid, order])).values()];
    },
    /** Whether goods of an order with coupons of ours are given back. */
    wechatRefundsCoupons() {
        return this.wechatRefundedOrders().some((order) => order.wechatDiscountLines().length);
    },
    /**
     * What coupons took off comes along with the goods: otherwise more would be paid
     * out than was paid in. All refunds of an order together give back what was paid.
     */
    wechatSettleRefund() {
        for (const order of this.wechatRefundedOrders()) {
            order.wechatTakeDiscountsBack(this);
        }
    },
    wechatTakeDiscountsBack(refund) {
        const goods = this.wechatGoodsBack();
        const lines = this.wechatDiscountLines();
        if (!lines.length) {
            return;
        }
        const discounts = lines.map((line) => line.wechatDiscount);
        const targets = discounts.map((discount) => discountBack(discount, goods));
        // The first one also makes up for what was rounded on the goods themselves.
        const rest = targets.slice(1).reduce((sum, fen) => sum + fen, 0);
        targets[0] = this._wechatGoodsBackFen(goods) - payable(goods, discounts) - rest;
        lines.forEach((line, index) => {
            const due = targets[index] - line.wechatBackFen(refund);
            line.wechatPutOnRefund(refund, due, isAllBack(goods));
        });
    },
    /** The goods of this order, with what came back of each until now. */
    wechatGoodsBack() {
        return this._get_regular_order_lines()
            .filter((line) => line.prices.total_included > 0)
            .map((line) => ({
                key: line.uuid,
                fen: toFen(line.prices.total_included),
                qty: line.qty,
                back: line.refundedQty,
            }));
    },
    /** What was paid out for goods until now, before coupons. */
    _wechatGoodsBackFen(goods) {
        const keys = goods.map(({ key }) => key);
        return this.lines
            .filter((line) => keys.includes(line.uuid))
            .reduce((sum, line) => sum - line.wechatBackFen(null), 0);
    },
});
