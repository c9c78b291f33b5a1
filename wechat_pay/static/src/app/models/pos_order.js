import { PosOrder } from "@point_of_sale/app/models/pos_order";
import { isWechatPay } from "@wechat_pay/app/services/wechat_pay_desk";
import { toFen } from "@wechat_pay/app/utils/fen";
import { patch } from "@web/core/utils/patch";

const sum = (amounts) => amounts.reduce((total, amount) => total + amount, 0);

patch(PosOrder.prototype, {
    /** No more goes back to WeChat than came from it; the server has the last word. */
    getDefaultAmountDueToPayIn(method) {
        const amount = super.getDefaultAmountDueToPayIn(...arguments);
        if (!this.isRefund || !isWechatPay(method) || amount >= 0) {
            return amount;
        }
        const left = this.wechatRefundable();
        return left > 0 ? Math.max(amount, -left) : amount;
    },
    /** The orders whose goods this one takes back. */
    wechatRefundedOrders() {
        const orders = this.lines.map((line) => line.refunded_orderline_id?.order_id);
        return [...new Map(orders.filter(Boolean).map((order) => [order.uuid, order])).values()];
    },
    /** @returns {number} what was paid with WeChat and does not go back yet, in yuan */
    wechatRefundable() {
        const refunded = this.wechatRefundedOrders();
        const refunds = refunded
            .flatMap((order) => order.lines.flatMap((line) => line.refund_orderline_ids || []))
            .map((line) => line.order_id)
            .filter((order) => order?.finalized && order.uuid !== this.uuid);
        const orders = new Map([...refunded, ...refunds].map((order) => [order.uuid, order]));
        const amounts = [...orders.values()].flatMap((order) =>
            order.payment_ids.filter(isWechatPay).map((payment) => payment.amount)
        );
        amounts.push(...this.payment_ids.filter(isWechatPay).map((payment) => payment.amount));
        return Math.max(0, this.currency.round(sum(amounts)));
    },
    /** What the server is told about the refund of a payment line. */
    wechatRefundOf(line) {
        const goods = this.lines
            .filter((one) => one.refunded_orderline_id)
            .map((one) => [one.refunded_orderline_id.id, -toFen(one.prices.total_included)])
            .filter(([id, fen]) => typeof id === "number" && fen > 0);
        return {
            order: this.uuid,
            line: line.uuid,
            amount: -toFen(line.amount),
            orders: this.wechatRefundedOrders().map(({ id }) => id),
            goods,
            lines: this.payment_ids.map(({ uuid }) => uuid),
        };
    },
});
