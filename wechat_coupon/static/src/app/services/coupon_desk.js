import { AlertDialog, ConfirmationDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { SelectionPopup } from "@point_of_sale/app/components/popups/selection_popup/selection_popup";
import { ask, makeAwaitable } from "@point_of_sale/app/utils/make_awaitable_dialog";
import { logPosMessage } from "@point_of_sale/app/utils/pretty_console_log";
import { cartOf } from "@wechat_coupon/app/utils/coupon_cart";
import { isPaymentCode, maskCode } from "@wechat_coupon/app/utils/code_router";
import { _t } from "@web/core/l10n/translation";
import { ConnectionLostError, RPCError } from "@web/core/network/rpc";
import { Mutex } from "@web/core/utils/concurrency";
import { Reactive } from "@web/core/utils/reactive";
import { markRaw } from "@odoo/owl";

const { DateTime } = luxon;

// A scanner that reads the same code twice does so within this time.
const REPEAT_MS = 1500;
// The payment gate and the validation gate of a quick payment follow at once.
const FRESH_MS = 5000;
// What the cart can still mend: such a coupon stays on the order and waits.
const CURABLE = ["below_threshold", "no_matching_product"];
// Answers that leave open whether the code is a coupon.
const UNSURE = ["remote_unavailable", "account_misconfigured", "too_many_tries"];
const MAX_CODE_LENGTH = 64;

/**
 * @typedef {Object} LookupResult
 * @property {"found"|"refused"|"unknown"|"unreachable"} status
 * @property {boolean} [offline] unreachable because this till has no connection
 * @property {string} [message] a sentence for the cashier, unless found
 * @property {Object} [answer] the server's answer, when found
 */

/**
 * Everything the till does with our coupons: look them up, put them on an order, hold
 * them on the server while the order is paid, let them go.
 *
 * The server's ledger decides; this keeps the cashier informed. Orders without our
 * coupons never cause a call.
 */
export class CouponDesk extends Reactive {
    constructor(pos) {
        super();
        this.pos = pos;
        // Codes that are being looked up: the order shows them.
        this.busyCodes = [];
        this.lookups = markRaw(new Map());
        this.twelveDigitCodes = markRaw(new Map());
        // Reserve and release of one till must reach the server in their order.
        this.mutex = markRaw(new Mutex());
    }

    // ------------------------------------------------------------------
    // Calls
    // ------------------------------------------------------------------

    call(method, args) {
        const { data, config } = this.pos;
        return data.call("pos.config", method, [[config.id], ...args]);
    }

    /**
     * @param {Error} error of a call
     * @param {string} offline the sentence when there is no connection
     * @returns {string} a sentence for the cashier
     * @throws what is no failed call
     */
    sentenceOf(error, offline) {
        if (error instanceof ConnectionLostError) {
            return offline;
        }
        if (error instanceof RPCError) {
            return error.data?.message || error.message;
        }
        throw error;
    }

    notify(message, type = "warning", options = {}) {
        this.pos.notification.add(message, { type, autocloseDelay: 8000, ...options });
    }

    // ------------------------------------------------------------------
    // Look up
    // ------------------------------------------------------------------

    /**
     * Ask the server for a code. Two questions about one code at one time are one.
     *
     * @returns {Promise<LookupResult>}
     */
    lookup(code, order) {
        const key = `${order.uuid} ${code}`;
        if (!this.lookups.has(key)) {
            this.lookups.set(key, this._lookupOnce(code, order, key));
        }
        return this.lookups.get(key);
    }

    async _lookupOnce(code, order, key) {
        const result = await this._lookup(code, order);
        // Who scans again after a lost connection wants to know whether it is back.
        const wait = result.status === "unreachable" ? 0 : REPEAT_MS;
        setTimeout(() => this.lookups.delete(key), wait);
        return result;
    }

    /** Let the next look-up of a code ask again, for a coupon that left the order. */
    forget(code, order) {
        this.lookups.delete(`${order.uuid} ${code}`);
    }

    async _lookup(code, order) {
        if (code.length > MAX_CODE_LENGTH) {
            return { status: "unknown", message: _t("No coupon has such a long code.") };
        }
        this.busyCodes.push(code);
        try {
            const answer = await this.call("wechat_coupon_lookup", [
                code,
                order.uuid,
                order.getPartner()?.id || false,
                cartOf(order),
                this._guardedProgramIds(),
            ]);
            return this._readAnswer(answer);
        } catch (error) {
            const message = this.sentenceOf(
                error,
                _t(
                    "No connection to the server: the code %(code)s could not be looked up. Nothing was changed. Scan it again when the connection is back.",
                    { code: maskCode(code) }
                )
            );
            const offline = error instanceof ConnectionLostError;
            return { status: "unreachable", message, offline };
        } finally {
            this.busyCodes.splice(this.busyCodes.indexOf(code), 1);
        }
    }

    _guardedProgramIds() {
        return this.pos.models["loyalty.program"]
            .filter((program) => program.wechat_guarded)
            .map(({ id }) => id);
    }

    _readAnswer(answer) {
        if (answer.ok) {
            return { status: "found", answer };
        }
        const { code, message } = answer;
        if (UNSURE.includes(code)) {
            return { status: "unreachable", message };
        }
        return { status: answer.is_coupon ? "refused" : "unknown", message };
    }

    /**
     * Whether a twelve-digit code is one of our coupons, for a product that has been
     * sold already: the answer may be late, and is not needed to go on.
     *
     * @returns {Promise<boolean>}
     */
    async isCouponCode(code) {
        if (!this.twelveDigitCodes.has(code)) {
            try {
                const known = await this.call("wechat_coupon_is_code", [code]);
                this.twelveDigitCodes.set(code, Boolean(known));
            } catch (error) {
                this.sentenceOf(error, "");
                logPosMessage("CouponDesk", "isCouponCode", "not answered", false, [error]);
                return false;
            }
        }
        return this.twelveDigitCodes.get(code);
    }

    /**
     * What to do with a code that charges its owner. The screens show where it
     * belongs; an add-on that takes payments by code overrides this.
     */
    onPaymentCode() {
        this.notify(
            this.pos.router.state.current === "PaymentScreen"
                ? _t("This is a payment code. Choose the payment method that takes it first.")
                : _t("This is a payment code. Go to payment to use it.")
        );
    }

    /**
     * Look up a code and put the coupon on the order.
     *
     * @param {string} code clean, see `cleanCode`
     * @returns {Promise<LookupResult & {message: string, applied?: boolean}>}
     */
    async activate(code, order = this.pos.getOrder()) {
        if (isPaymentCode(code)) {
            return {
                status: "refused",
                message: _t("This is a payment code. Go to payment to use it."),
            };
        }
        const present = order.getGuardedCoupons().find((card) => card.code === code);
        if (present) {
            return {
                status: "found",
                applied: order.isApplied(present),
                message: _t("This coupon is already on the order."),
            };
        }
        const result = await this.lookup(code, order);
        if (result.status !== "found") {
            return result;
        }
        return { ...result, ...(await this.attach(result.answer, order)) };
    }

    // ------------------------------------------------------------------
    // On the order
    // ------------------------------------------------------------------

    /**
     * Put a coupon that was looked up on its order and take it off the price.
     *
     * @param {Object} answer of `wechat_coupon_lookup`
     * @returns {Promise<{status: string, applied: boolean, message: string}>}
     */
    async attach(answer, order) {
        const refusal = this._whyNotAttach(answer, order);
        if (refusal) {
            return { status: "refused", applied: false, message: refusal };
        }
        this.loadMissing(answer.load);
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
        this.saveLocally();
        const applied = order.isApplied(card);
        return { status: "found", applied, message: this._toldAfter(answer, card, applied, message) };
    }

    _whyNotAttach({ coupon, eligible, reasons = [] }, order) {
        if (!this.isOpen(order)) {
            return _t(
                "Another order was opened while the coupon was looked up. Scan the coupon again on its order."
            );
        }
        if (order.getGuardedCoupons().some((card) => card.id === coupon.id)) {
            return _t("This coupon is already on the order.");
        }
        const blocking = reasons.filter(({ code }) => !CURABLE.includes(code));
        if (!eligible && blocking.length) {
            return blocking.map((reason) => reason.message).join("\n");
        }
        const same = order.getGuardedCoupons().find(
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
            this.pos.getOrder().couponShortfall(card) ||
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
    loadMissing(load = {}) {
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
            title: card.couponName,
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
        const card = order.getGuardedCoupons().find(
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
        await this.pos.addLineToCurrentOrder(
            { product_id: gift, product_tmpl_id: gift.product_tmpl_id, qty: potentialQty || 1 },
            {}
        );
        return true;
    }

    /**
     * Take a coupon off an order, and let it go on the server if it was held.
     */
    async remove(card, order) {
        this._takeOff(card, order);
        this.pos.updateRewards();
        this.saveLocally();
        if (!order.uiState.wechatReservation) {
            return;
        }
        if (this.isPaying(order) && order.getAppliedCoupons().length) {
            await this.reserve(order);
        } else {
            await this.release(order);
        }
    }

    _takeOff(card, order) {
        this.forget(card.code, order);
        for (const line of order.linesOfCoupon(card)) {
            line.delete();
        }
        order.uiState.wechatCouponIds = order.uiState.wechatCouponIds.filter(
            (id) => id !== card.id
        );
        order._code_activated_coupon_ids = [["unlink", card]];
    }

    /** Odoo saves orders in the browser when they change, not when their state does. */
    saveLocally() {
        this.pos.data.debouncedSynchronizeLocalDataInIndexedDB();
    }

    isPaying(order) {
        const { current } = this.pos.router.state;
        return current === "PaymentScreen" && this.isOpen(order);
    }

    /** Whether this is the order on the screen, and may still change. */
    isOpen(order) {
        return order.uuid === this.pos.getOrder()?.uuid && !order.finalized;
    }

    // ------------------------------------------------------------------
    // Gates
    // ------------------------------------------------------------------

    /**
     * Hold the order's coupons on the server, all or none.
     *
     * @returns {Promise<{ok: boolean, refusals: Object[], offline?: boolean}>}
     */
    async reserve(order) {
        const { ui } = this.pos.env.services;
        ui.block();
        try {
            return await this.mutex.exec(() => this._reserve(order));
        } finally {
            ui.unblock();
        }
    }

    async _reserve(order) {
        const cards = order.getAppliedCoupons();
        const ids = cards.map((card) => card.id);
        try {
            const answer = await this.call("wechat_coupon_reserve", [
                order.uuid,
                ids,
                cartOf(order),
                order.getPartner()?.id || false,
            ]);
            if (!answer.ok) {
                // All or nothing, but a reservation from before may still stand.
                return { ok: false, refusals: answer.refusals };
            }
            this._noteReservation(order, ids, answer);
            return { ok: true, refusals: [] };
        } catch (error) {
            const message = this.sentenceOf(
                error,
                _t(
                    "No connection to the server: the coupons of this order could not be reserved. Try again, or take them off the order."
                )
            );
            const offline = error instanceof ConnectionLostError;
            if (offline) {
                // The call may have arrived, so there may be something to let go.
                order.uiState.wechatReservation ||= { ids, until: 0, at: 0 };
            }
            return {
                ok: false,
                offline,
                refusals: cards.map((card) => ({ coupon_id: card.id, message })),
            };
        }
    }

    _noteReservation(order, ids, { expires_at }) {
        const until = DateTime.fromISO(expires_at, { zone: "utc" }).toMillis();
        order.uiState.wechatReservation = { ids, until, at: Date.now() };
        this.saveLocally();
    }

    /** Let go what the server holds for an order. It lets go by itself in the end. */
    async release(order) {
        const held = order.uiState.wechatReservation;
        order.uiState.wechatReservation = null;
        this.saveLocally();
        const { uuid } = order;
        return this.mutex.exec(async () => {
            try {
                await this.call("wechat_coupon_release", [uuid]);
            } catch (error) {
                const message = this.sentenceOf(error, _t("No connection to the server."));
                this.notify(
                    held?.until
                        ? _t("%(problem)s The order's coupons stay reserved until %(time)s.", {
                              problem: message,
                              time: this.clock(held.until),
                          })
                        : message
                );
            }
        });
    }

    clock(millis) {
        return DateTime.fromMillis(millis).toFormat("HH:mm");
    }

    /**
     * The gate before any payment: from here on a customer may pay on the phone.
     *
     * @returns {Promise<boolean>} whether the order may be paid
     */
    async mayPay(order) {
        if (!order.getAppliedCoupons().length) {
            if (order.uiState.wechatReservation) {
                await this.release(order);
            }
            return true;
        }
        this._remindOfWaiting(order);
        const { ok, refusals } = await this.reserve(order);
        if (ok) {
            return true;
        }
        if (await this._offerRemoval(order, refusals)) {
            for (const { coupon_id } of refusals) {
                const card = this.pos.models["loyalty.card"].get(coupon_id);
                if (card) {
                    await this.remove(card, order);
                }
            }
        }
        return false;
    }

    _remindOfWaiting(order) {
        for (const card of order.getGuardedCoupons()) {
            if (!order.isApplied(card)) {
                this.notify(
                    _t("The coupon “%(name)s” is not used on this order. %(reason)s", {
                        name: card.couponName,
                        reason: order.couponShortfall(card),
                    })
                );
            }
        }
    }

    _offerRemoval(order, refusals) {
        return ask(
            this.pos.dialog,
            {
                title: _t("A coupon cannot be used"),
                body: this._listed(refusals),
                confirmLabel:
                    refusals.length > 1 ? _t("Remove these coupons") : _t("Remove the coupon"),
                cancelLabel: _t("Back to the order"),
            },
            {},
            ConfirmationDialog
        );
    }

    _listed(refusals) {
        const cards = this.pos.models["loyalty.card"];
        return refusals
            .map(({ coupon_id, message }) => {
                const card = cards.get(coupon_id);
                return card ? `${card.couponName} (${card.maskedCode}): ${message}` : message;
            })
            .join("\n\n");
    }

    /**
     * The gate before validation: the server must hold exactly the order's coupons.
     *
     * Money that has been taken electronically is never sent back for a coupon: the
     * order is saved, and the server keeps the conflict for the manager.
     *
     * @returns {Promise<boolean>} whether the order may be validated
     */
    async mayValidate(order) {
        const cards = order.getAppliedCoupons();
        if (!cards.length) {
            if (order.uiState.wechatReservation) {
                await this.release(order);
            }
            return true;
        }
        if (this._isFresh(order, cards)) {
            return true;
        }
        const { ok, offline, refusals } = await this.reserve(order);
        if (ok) {
            return true;
        }
        if (offline && order.holdsExactly(cards)) {
            return true;
        }
        const body = this._listed(refusals);
        if (order.isElectronicallyPaid()) {
            return ask(this.pos.dialog, {
                title: _t("A coupon cannot be used"),
                body: _t(
                    "%(reasons)s\n\nThe customer has already paid. You can finish the order; the manager then settles the coupon.",
                    { reasons: body }
                ),
                confirmLabel: _t("Finish the order"),
                cancelLabel: _t("Back"),
            });
        }
        this.pos.dialog.add(AlertDialog, { title: _t("A coupon cannot be used"), body });
        return false;
    }

    _isFresh(order, cards) {
        return (
            order.holdsExactly(cards) &&
            Date.now() - order.uiState.wechatReservation.at < FRESH_MS
        );
    }

    /**
     * An order came up on the payment screen without the payment gate: after a reload
     * of the browser, or from the list of orders. Ask what the server holds for it.
     */
    async resumePayment(order) {
        const cards = order.getAppliedCoupons();
        if (!cards.length || this._isFresh(order, cards)) {
            return;
        }
        try {
            const { redemptions } = await this.call("wechat_coupon_status", [order.uuid]);
            const ids = cards.map((card) => card.id);
            const held = redemptions.filter(
                ({ coupon_id, state }) => ids.includes(coupon_id) && state === "reserved"
            );
            if (held.length === ids.length) {
                const expires_at = held.map((redemption) => redemption.expires_at).sort()[0];
                this._noteReservation(order, ids, { expires_at });
                return;
            }
        } catch (error) {
            const message = this.sentenceOf(
                error,
                _t("No connection to the server: the coupons are checked again at validation.")
            );
            this.notify(message);
            return;
        }
        const { ok, refusals } = await this.reserve(order);
        if (!ok) {
            this.pos.dialog.add(AlertDialog, {
                title: _t("A coupon cannot be used"),
                body: this._listed(refusals),
            });
        }
    }

    /** Back from payment to the cart: others may use the coupons meanwhile. */
    leavePayment(order) {
        const mayLetGo =
            order &&
            !order.finalized &&
            order.uiState.wechatReservation &&
            !order.hasElectronicPayment();
        return mayLetGo ? this.release(order) : undefined;
    }

    /**
     * A coupon was scanned on the payment screen: take it off the amount and hold it.
     */
    async activateWhilePaying(code, order) {
        if (order.hasElectronicPayment()) {
            return this.notify(
                _t("A payment is under way. Cancel it before you add a coupon."),
                "danger"
            );
        }
        const due = order.totalDue;
        const result = await this.activate(code, order);
        if (!result.applied) {
            return this.notify(result.message, result.status === "found" ? "warning" : "danger");
        }
        const { ok, refusals } = await this.reserve(order);
        if (!ok) {
            for (const card of order.getGuardedCoupons().filter((card) => card.code === code)) {
                this._takeOff(card, order);
            }
            this.pos.dialog.add(AlertDialog, {
                title: _t("A coupon cannot be used"),
                body: this._listed(refusals),
            });
        }
        this._adjustPayments(order, due);
    }

    /** A payment line that was to pay for everything still does. */
    _adjustPayments(order, due) {
        const lines = order.payment_ids;
        if (lines.length === 1 && !order.currency.round(lines[0].amount - due)) {
            lines[0].setAmount(order.totalDue);
        }
    }
}
