// Its patch must come first: ours builds on it.
import "@pos_loyalty/app/models/pos_order";
import { PosOrder } from "@point_of_sale/app/models/pos_order";
import { toFen } from "@wechat_pay/app/utils/fen";
import { _t } from "@web/core/l10n/translation";
import { formatCurrency } from "@web/core/currency";
import { patch } from "@web/core/utils/patch";

patch(PosOrder.prototype, {
    initState() {
        super.initState();
        this.uiState = {
            ...this.uiState,
            // Ids of our coupons on this order, applied or waiting for the cart.
            wechatCouponIds: this.uiState.wechatCouponIds || [],
            // Lines that a coupon put on this order: {uuid, qty} by id of the coupon.
            wechatGifts: this.uiState.wechatGifts || {},
            // What the server holds for this order: {ids, until}, times in ms.
            wechatReservation: this.uiState.wechatReservation || null,
        };
    },
    restoreState() {
        super.restoreState(...arguments);
        this.uiState.wechatCouponIds ||= [];
        this.uiState.wechatGifts ||= {};
        this.uiState.wechatReservation ||= null;
    },
    _resetPrograms() {
        this.uiState.wechatCouponIds = [];
        return super._resetPrograms(...arguments);
    },
    _updateRewardLines() {
        this._wechatRelinkCoupons();
        return super._updateRewardLines(...arguments);
    },
    /**
     * A coupon is worth nothing while the cart does not meet its conditions, also when
     * it did when the coupon was scanned: Odoo asks only the first time.
     */
    _applyReward(reward, couponId) {
        const card = this.models["loyalty.card"].get(couponId);
        if (card?.wechatIsGuarded() && !this._canGenerateRewards(card.program_id)) {
            return this.wechatShortfall(card);
        }
        return super._applyReward(...arguments);
    },
    /**
     * A threshold counts the goods at their price before any coupon, and only the
     * goods that the coupon is for: WeChat and our server do so, too.
     */
    _canGenerateRewards(program) {
        if (!program.wechat_guarded) {
            return super._canGenerateRewards(...arguments);
        }
        return program.rule_ids.every((rule) => !this._wechatShortfallOf(rule));
    },
    /** @returns {{product?: true, amount?: number, items?: number}|null} */
    _wechatShortfallOf(rule) {
        const lines = this._get_regular_order_lines().filter(
            ({ product_id }) => rule.any_product || rule.validProductIds.has(product_id.id)
        );
        if (!lines.some((line) => line.getQuantity() > 0)) {
            return { product: true };
        }
        const fen = lines.reduce((sum, line) => sum + toFen(line.prices.total_included), 0);
        const missing = toFen(rule.minimum_amount) - fen;
        if (missing > 0) {
            return { amount: missing / 100 };
        }
        const quantity = lines.reduce((sum, line) => sum + line.getQuantity(), 0);
        return quantity < rule.minimum_qty ? { items: rule.minimum_qty - quantity } : null;
    },
    /**
     * Reading an order from the server empties `_code_activated_coupon_ids`, and Odoo
     * then drops the coupons' lines at the next change of the cart.
     */
    _wechatRelinkCoupons() {
        const linked = this._code_activated_coupon_ids.map(({ id }) => id);
        const missing = this.wechatGuardedCoupons().filter(({ id }) => !linked.includes(id));
        if (missing.length) {
            this._code_activated_coupon_ids = [["link", ...missing]];
        }
    },

    /**
     * Users of the till may not read our coupons, so an order that comes from the
     * server has lines whose coupon is missing here, and Odoo expects none. What
     * stands in for a coupon has its id and its offer, and no code.
     */
    wechatStandIns() {
        for (const line of this.lines) {
            const { coupon_id, reward_id, raw } = line;
            if (coupon_id || !raw.coupon_id || !reward_id?.program_id?.wechat_guarded) {
                continue;
            }
            const cards = this.models["loyalty.card"];
            line.coupon_id =
                cards.get(raw.coupon_id) ||
                cards.create({
                    id: raw.coupon_id,
                    code: "",
                    points: 0,
                    program_id: reward_id.program_id,
                });
        }
    },

    /** Our coupons on this order, applied or waiting. */
    wechatGuardedCoupons() {
        const applied = this.wechatAppliedCoupons().map(({ id }) => id);
        const ids = new Set([...applied, ...(this.uiState.wechatCouponIds || [])]);
        return this.models["loyalty.card"]
            .readMany([...ids])
            .filter((card) => card.wechatIsGuarded());
    },
    /** Our coupons that take something off this order: those have to be reserved. */
    wechatAppliedCoupons() {
        const ids = this.lines
            .filter((line) => line.wechatTakesOff && line.coupon_id.wechatIsGuarded())
            .map((line) => line.coupon_id.id);
        return this.models["loyalty.card"].readMany([...new Set(ids)]);
    },
    /** Records are reached through proxies, so they are compared by id. */
    wechatIsApplied(card) {
        return this.wechatAppliedCoupons().some(({ id }) => id === card.id);
    },
    /** Lines on which a coupon of ours took something off, of any session. */
    wechatDiscountLines() {
        return this.lines.filter(
            (line) =>
                line.is_reward_line &&
                !line.refunded_orderline_id &&
                line.reward_id?.program_id?.wechat_guarded
        );
    },
    wechatLinesOf(card) {
        return this.lines.filter(
            (line) => line.wechatTakesOff && line.coupon_id.id === card.id
        );
    },
    /** @returns {number} what the coupon takes off, a positive amount */
    wechatSavedBy(card) {
        const amount = this.wechatLinesOf(card).reduce(
            (sum, line) => sum - line.prices.total_included,
            0
        );
        return this.currency.round(amount);
    },
    /** What the receipt says about coupons: [{id, name, code, saved}]. */
    wechatCouponSavings() {
        return this.wechatAppliedCoupons().map((card) => ({
            id: card.id,
            name: card.wechatName,
            code: card.wechatMaskedCode,
            saved: this.wechatSavedBy(card),
        }));
    },
    wechatSavedTotal() {
        return this.wechatCouponSavings().reduce((sum, { saved }) => sum + saved, 0);
    },
    /**
     * @returns {string} what the cart still needs, or "" when it needs nothing
     */
    wechatShortfall(card) {
        if (!this._get_regular_order_lines().length) {
            return _t("Add the products first; the coupon is then applied by itself.");
        }
        for (const rule of card.program_id.rule_ids) {
            const { product, amount, items } = this._wechatShortfallOf(rule) || {};
            if (product) {
                return _t("Nothing on this order goes with this coupon yet.");
            }
            if (amount) {
                return _t("%(amount)s more to go for this coupon.", {
                    amount: formatCurrency(amount, this.currency.id),
                });
            }
            if (items) {
                return _t("%(count)s more of its products needed for this coupon.", {
                    count: items,
                });
            }
        }
        if (!this.wechatIsApplied(card) && this._wechatHasOtherGlobalDiscount(card)) {
            return _t("Only one discount on the whole order can be used; the best one is.");
        }
        return "";
    },
    _wechatHasOtherGlobalDiscount(card) {
        return (
            card.program_id.reward_ids.some((reward) => reward.is_global_discount) &&
            this._getGlobalDiscountLines().length > 0
        );
    },
    /** Whether the server is known to hold exactly these coupons at this moment. */
    wechatHoldsExactly(cards) {
        const held = this.uiState.wechatReservation;
        return Boolean(
            held &&
                held.until > Date.now() &&
                held.ids.length === cards.length &&
                cards.every((card) => held.ids.includes(card.id))
        );
    },
    /** Whether a customer's money is on its way or has been taken electronically. */
    wechatHasElectronicPayment() {
        return this.payment_ids.some(
            (payment) =>
                payment.isElectronic() &&
                !["pending", "retry", "reversed"].includes(payment.getPaymentStatus())
        );
    },
    wechatIsElectronicallyPaid() {
        return this.payment_ids.some((payment) => payment.getPaymentStatus() === "done");
    },
});
