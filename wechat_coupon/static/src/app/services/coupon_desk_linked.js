import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { ask } from "@point_of_sale/app/utils/make_awaitable_dialog";
import { CouponDesk } from "@wechat_coupon/app/services/coupon_desk";
import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";

patch(CouponDesk.prototype, {
    /** @returns {string} which coupons of the order want WeChat Pay, for the cashier */
    linkedSentence(order) {
        return _t(
            "%(coupons)s can be used only if the customer pays with WeChat Pay. Take the payment with WeChat Pay, or take the coupon off.",
            {
                coupons: order
                    .wechatLinkedCoupons()
                    .map((card) => card.wechatName)
                    .join(", "),
            }
        );
    },
    /**
     * Before each payment with WeChat: one that has failed let the coupons go.
     *
     * @returns {Promise<boolean>} whether the order still has its coupons
     */
    async mayCharge(order) {
        return !order.wechatLinkedCoupons().length || this._reserveOrTell(order);
    },
    async mayValidate(order) {
        const mayGoOn =
            !order.wechatLinkedCoupons().length ||
            order.wechatIsPaidWithWechat() ||
            (await this._mayGoOnUnlinked(order));
        return mayGoOn && super.mayValidate(...arguments);
    },
    /** Money that has been taken electronically is never sent back for a coupon. */
    _mayGoOnUnlinked(order) {
        const title = _t("This coupon needs WeChat Pay");
        const body = this.linkedSentence(order);
        if (order.wechatIsElectronicallyPaid()) {
            return ask(this.pos.dialog, {
                title,
                body: _t(
                    "%(reasons)s\n\nThe customer has already paid. You can finish the order; the manager then settles the coupon.",
                    { reasons: body }
                ),
                confirmLabel: _t("Finish the order"),
                cancelLabel: _t("Back"),
            });
        }
        this.pos.dialog.add(AlertDialog, { title, body });
        return false;
    },
});
