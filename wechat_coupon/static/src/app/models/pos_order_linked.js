// Its patch must come first: ours builds on it.
import "@wechat_coupon/app/models/pos_order";
import { PosOrder } from "@point_of_sale/app/models/pos_order";
import { isSettled, isWechatPay } from "@wechat_pay/app/services/wechat_pay_desk";
import { patch } from "@web/core/utils/patch";

/** Coupons that are used together with a WeChat payment of the same order. */
patch(PosOrder.prototype, {
    wechatLinkedCoupons() {
        return this.wechatAppliedCoupons().filter(
            (card) => card.program_id.wechat_needs_payment
        );
    },
    /** Whether WeChat Pay is among the order's payments, done or not. */
    wechatHasWechatPayment() {
        return this.payment_ids.some((line) => isWechatPay(line) && line.amount > 0);
    },
    wechatIsPaidWithWechat() {
        return this.payment_ids.some(
            (line) => isWechatPay(line) && line.amount > 0 && isSettled(line)
        );
    },
});
