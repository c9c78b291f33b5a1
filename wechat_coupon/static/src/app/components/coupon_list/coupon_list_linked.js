import { CouponList } from "@wechat_coupon/app/components/coupon_list/coupon_list";
import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";

patch(CouponList.prototype, {
    stateOf(card) {
        const state = super.stateOf(...arguments);
        if (!card.program_id.wechat_needs_payment) {
            return state;
        }
        return _t("Only with WeChat Pay. %(state)s", { state });
    },
});
