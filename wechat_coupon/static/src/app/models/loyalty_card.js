import { LoyaltyCard } from "@pos_loyalty/app/models/loyalty_card";
import { maskCode } from "@wechat_coupon/app/utils/code_router";
import { patch } from "@web/core/utils/patch";

patch(LoyaltyCard.prototype, {
    /** Whether the server's ledger guards this card: it is one of our coupons. */
    wechatIsGuarded() {
        return this.id > 0 && Boolean(this.program_id?.wechat_guarded);
    },
    get wechatName() {
        return this.program_id?.name || "";
    },
    get wechatMaskedCode() {
        return maskCode(this.code);
    },
});
