import { Component } from "@odoo/owl";
import { usePos } from "@point_of_sale/app/hooks/pos_hook";
import { clock } from "@wechat_coupon/app/utils/clock";
import { maskCode } from "@wechat_coupon/app/utils/code_router";
import { _t } from "@web/core/l10n/translation";
import { formatDate, parseDate } from "@web/core/l10n/dates";

/**
 * The coupons of an order: what they take off, or what they wait for.
 */
export class CouponList extends Component {
    static template = "wechat_coupon.CouponList";
    static props = {
        order: Object,
        detailed: { type: Boolean, optional: true },
    };
    static defaultProps = { detailed: false };

    setup() {
        this.pos = usePos();
    }

    get desk() {
        return this.pos.wechatCoupon;
    }

    get busySentences() {
        return this.desk.busyCodes.map((code) =>
            _t("Looking up %(code)s…", { code: maskCode(code) })
        );
    }

    /** What a customer is paying for electronically does not change under way. */
    get mayRemove() {
        return !this.props.order.wechatHasElectronicPayment();
    }

    get rows() {
        const { order } = this.props;
        return order.wechatGuardedCoupons().map((card) => {
            const isApplied = order.wechatIsApplied(card);
            return {
                card,
                isApplied,
                name: card.wechatName,
                code: card.wechatMaskedCode,
                amount: isApplied ? this.env.utils.formatCurrency(-order.wechatSavedBy(card)) : "",
                state: isApplied ? this.stateOf(card) : this.reasonOf(card),
                validity: this.validityOf(card),
            };
        });
    }

    stateOf(card) {
        const held = this.props.order.uiState.wechatReservation;
        if (held?.ids.includes(card.id) && held.until > Date.now()) {
            return _t("Reserved for this order until %(time)s", {
                time: clock(held.until),
            });
        }
        return _t("Applied; reserved when you go to payment");
    }

    reasonOf(card) {
        return this.props.order.wechatShortfall(card) || _t("Not used on this order");
    }

    validityOf(card) {
        const date = card.expiration_date;
        if (!date) {
            return _t("No expiry");
        }
        const value = typeof date === "string" ? parseDate(date) : date;
        return _t("Valid until %(date)s", { date: formatDate(value) });
    }

    async remove(card) {
        await this.desk.remove([card], this.props.order);
    }
}
