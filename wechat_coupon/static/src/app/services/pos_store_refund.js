// Its patch must come first: ours builds on it.
import "@wechat_coupon/app/services/pos_store";
import { PosStore } from "@point_of_sale/app/services/pos_store";
import { NoAnswerError } from "@wechat_pay/app/services/till_server";
import { ConnectionLostError, RPCError } from "@web/core/network/rpc";
import { patch } from "@web/core/utils/patch";

patch(PosStore.prototype, {
    /** A refund may have been changed on the product screen. */
    async pay() {
        this.getOrder().wechatSettleRefund();
        return super.pay(...arguments);
    },
    async validateOrderFast() {
        this.getOrder().wechatSettleRefund();
        return super.validateOrderFast(...arguments);
    },
    async postSyncAllOrders(orders) {
        await super.postSyncAllOrders(...arguments);
        for (const order of orders) {
            await this.wechatTellGivenBack(order);
        }
    },
    /**
     * Tell the cashier what became of the coupons of goods that were given back, once;
     * the receipt says it as well.
     */
    async wechatTellGivenBack(order) {
        if (!order.finalized || order.uiState.wechatGivenBack || !order.wechatRefundsCoupons()) {
            return;
        }
        let answer;
        try {
            answer = await this.wechatCoupon.server.call("wechat_coupon_given_back", [order.uuid]);
        } catch (error) {
            const isLine = [ConnectionLostError, NoAnswerError, RPCError].some(
                (kind) => error instanceof kind
            );
            if (!isLine) {
                throw error;
            }
            this.wechatCoupon.server.log("wechatTellGivenBack", error);
            // The refund is saved. The customer's coupons are on the server, and the next
            // time that the order is synchronised it is told.
            return;
        }
        order.uiState.wechatGivenBack = answer.coupons;
        const sentences = answer.coupons.map(
            ({ name, code, message }) => `${name} (${code}): ${message}`
        );
        if (sentences.length) {
            this.wechatCoupon.server.notify(sentences.join("\n"), "info");
        }
    },
});
