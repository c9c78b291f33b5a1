import { SelectionPopup } from "@point_of_sale/app/components/popups/selection_popup/selection_popup";
import { makeAwaitable } from "@point_of_sale/app/utils/make_awaitable_dialog";
import { _t } from "@web/core/l10n/translation";
import { Mutex } from "@web/core/utils/concurrency";
import { markRaw } from "@odoo/owl";

// What the cart can still mend: such a coupon stays on the order and waits.
const CURABLE = ["below_threshold", "no_matching_product", "product_missing"];

/**
 * Coupons on an order: Odoo's own engine takes them off the price.
 */
export class CouponRewards {
    /** @param {import("@point_of_sale/app/services/pos_store").PosStore} pos */
    constructor(pos) {
        this.pos = pos;
        // Coupons get onto an order one after the other.
        this.turn = markRaw(new Mutex());
    }

    /**
     * Put a coupon that was looked up on its order and take it off the price.
     *
     * @param {Object} answer of `wechat_coupon_lookup`
     * @returns {Promise<{status: string, applied: boolean, message: string}>}
     */
    async attach(answer, order) {
        return this.turn.exec(() => this._attach(answer, order));
    }

    async _attach(answer, order) {
        const refusal = this._whyNotAttach(answer, order);
        if (refusal) {
            return { status: "refused", applied: false, message: refusal };
        }
        this._loadMissing(answer.load);
        const card = this._cardOf(answer);
        if (!card) {
            const message = _t(
                "This till does not know the offer of this coupon yet. Reload the page, then scan it again."
            );
            return { status: "refused", applied: false, message };
        }
        if (!order.uiState.wechatCouponIds.includes(card.id)) {
            order.uiState.wechatCouponIds.push(card.id);
        }
        order._code_activated_coupon_ids = [["link", card]];
        for (const reward of card.program_id.reward_ids) {
            order.uiState.disabledRewards.delete(reward.id);
        }
        await this.pos.orderUpdateLoyaltyPrograms();
        const message = answer.eligible ? await this._applyRewardOf(card, order) : "";
        this.pos.updateRewards();
        this.pos.wechatSaveLocally();
        const applied = order.wechatIsApplied(card);
        const told = this._toldAfter(answer, card, applied, message);
        return { status: "found", applied, message: told };
    }

    _whyNotAttach({ coupon, eligible, reasons = [] }, order) {
        if (!this.pos.wechatIsOpen(order)) {
            return _t(
                "Another order was opened while the coupon was looked up. Scan the coupon again on its order."
            );
        }
        if (order.wechatHasElectronicPayment()) {
            // It may have begun while the coupon was looked up.
            return _t("A payment is under way. Cancel it before you add a coupon.");
        }
        if (order.wechatGuardedCoupons().some((card) => card.id === coupon.id)) {
            return _t("This coupon is already on the order.");
        }
        const blocking = reasons.filter(({ code }) => !CURABLE.includes(code));
        if (!eligible && blocking.length) {
            return blocking.map((reason) => reason.message).join("\n");
        }
        const same = order.wechatGuardedCoupons().find(
            (card) => card.program_id.id === coupon.program_id
        );
        if (same) {
            return _t("Only one coupon “%(name)s” can be used on an order.", {
                name: coupon.template_name,
            });
        }
        return "";
    }

    _toldAfter({ eligible, reasons = [] }, card, applied, message) {
        if (applied) {
            return "";
        }
        if (message) {
            return message;
        }
        if (!eligible && reasons.length) {
            return reasons.map((reason) => reason.message).join("\n");
        }
        return (
            this.pos.getOrder().wechatShortfall(card) ||
            _t("This coupon does not lower the price of the present order.")
        );
    }

    _cardOf({ coupon }) {
        const { models } = this.pos;
        const cards = models["loyalty.card"];
        const program = models["loyalty.program"].get(coupon.program_id);
        if (!program) {
            return null;
        }
        const values = {
            id: coupon.id,
            code: coupon.code,
            points: coupon.points,
            program_id: program,
            partner_id: models["res.partner"].get(coupon.partner_id),
            expiration_date: coupon.expiration_date || false,
        };
        const card = cards.get(coupon.id);
        if (!card) {
            return cards.create(values);
        }
        card.update(values, { omitUnknownField: true });
        return card;
    }

    /**
     * Load programs that were made after this till was opened.
     *
     * @param {Object} [load] records by model, as `load_data` gives them
     */
    _loadMissing(load = {}) {
        const { models } = this.pos;
        const missing = Object.entries(load).map(([model, records]) => [
            model,
            records.filter(({ id }) => !models[model].get(id)),
        ]);
        const records = models.connectNewData(Object.fromEntries(missing));
        for (const rule of records["loyalty.rule"] || []) {
            rule.validProductIds = new Set(rule.raw.valid_product_ids);
        }
        for (const reward of records["loyalty.reward"] || []) {
            this.pos.computeDiscountProductIds(reward, models["product.product"].getAll());
        }
    }

    /**
     * One reward is applied; of several the cashier chooses one.
     *
     * @returns {Promise<string>} why nothing was applied, or ""
     */
    async _applyRewardOf(card, order) {
        const claimable = order.getClaimableRewards(card.id);
        const potential = this.pos
            .getPotentialFreeProductRewards()
            .filter(({ coupon_id }) => coupon_id === card.id);
        const choices = new Map(
            [...claimable, ...potential].map((choice) => [choice.reward.id, choice])
        );
        if (!choices.size) {
            return "";
        }
        const chosen = await this._choose(card, [...choices.values()]);
        if (!chosen) {
            return _t("No reward was chosen. The coupon stays on the order, unused.");
        }
        const product = await this._productOf(chosen.reward);
        if (product === null) {
            return _t("No product was chosen. The coupon stays on the order, unused.");
        }
        const applied = await this._give(chosen, product, order);
        return applied === true ? "" : applied || "";
    }

    async _choose(card, choices) {
        if (choices.length === 1) {
            return choices[0];
        }
        return makeAwaitable(this.pos.dialog, SelectionPopup, {
            title: card.wechatName,
            list: choices.map((choice) => ({
                id: choice.reward.id,
                label: choice.reward.description,
                item: choice,
            })),
        });
    }

    async _productOf(reward) {
        if (reward.reward_type !== "product" || !reward.multi_product) {
            return undefined;
        }
        const product = await makeAwaitable(this.pos.dialog, SelectionPopup, {
            title: _t("Please select a product for this reward"),
            list: reward.reward_product_ids.map((item) => ({
                id: item.id,
                label: item.display_name,
                item,
            })),
        });
        return product || null;
    }

    async _give({ reward, potentialQty }, product, order) {
        const card = order.wechatGuardedCoupons().find(
            ({ program_id }) => program_id.id === reward.program_id.id
        );
        if (reward.reward_type !== "product") {
            return order._applyReward(reward, card.id, {});
        }
        const gift = product || reward.reward_product_id || reward.reward_product_ids[0];
        if (order.lines.some(({ product_id }) => product_id.id === gift.id)) {
            return order._applyReward(reward, card.id, { product: gift });
        }
        // Odoo gives a product away by taking the price off its line.
        const qty = potentialQty || 1;
        const line = await this.pos.addLineToCurrentOrder(
            { product_id: gift, product_tmpl_id: gift.product_tmpl_id, qty },
            {}
        );
        if (line) {
            order.uiState.wechatGifts[card.id] = { uuid: line.uuid, qty };
        }
        return true;
    }

    /** Take a coupon and its lines off an order. */
    takeOff(card, order) {
        for (const line of order.wechatLinesOf(card)) {
            line.delete();
        }
        this._takeGiftOff(card, order);
        order.uiState.wechatCouponIds = order.uiState.wechatCouponIds.filter(
            (id) => id !== card.id
        );
        order._code_activated_coupon_ids = [["unlink", card]];
        this.pos.wechatSaveLocally();
    }

    /** The customer did not choose what only came with the coupon. */
    _takeGiftOff(card, order) {
        const gift = order.uiState.wechatGifts[card.id];
        if (!gift) {
            return;
        }
        delete order.uiState.wechatGifts[card.id];
        const line = order.lines.find(({ uuid }) => uuid === gift.uuid);
        // More of it was added by the cashier: somebody wants it.
        if (line && line.getQuantity() <= gift.qty) {
            line.delete();
        }
    }
}
