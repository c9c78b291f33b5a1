import { AlertDialog, ConfirmationDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { ask, makeAwaitable } from "@point_of_sale/app/utils/make_awaitable_dialog";
import { EmergencyPopup } from "@wechat_coupon/app/components/popups/emergency_popup/emergency_popup";
import { CouponLookup } from "@wechat_coupon/app/services/coupon_lookup";
import { CouponReservation } from "@wechat_coupon/app/services/coupon_reservation";
import { CouponRewards } from "@wechat_coupon/app/services/coupon_rewards";
import { CouponServer } from "@wechat_coupon/app/services/coupon_server";
import { cartOf } from "@wechat_coupon/app/utils/coupon_cart";
import { isPaymentCode } from "@wechat_pay/app/utils/payment_code";
import { _t } from "@web/core/l10n/translation";

/**
 * The door for the screens to everything the till does with our coupons: look them up,
 * put them on an order, hold them on the server while the order is paid, let them go.
 *
 * The server's ledger decides; this keeps the cashier informed. Orders without our
 * coupons never cause a call.
 */
export class CouponDesk {
    constructor(pos) {
        this.pos = pos;
        this.server = new CouponServer(pos);
        this.codes = new CouponLookup(pos, this.server);
        this.rewards = new CouponRewards(pos);
        this.reservation = new CouponReservation(pos, this.server);
    }

    /** Codes that are being looked up. */
    get busyCodes() {
        return this.codes.busyCodes;
    }

    /** @see CouponLookup.lookup */
    lookup(code, order) {
        return this.codes.lookup(code, order);
    }

    /**
     * What a customer could use on an order.
     *
     * @returns {Promise<{coupons?: Object[], more?: boolean, message?: string}>} of
     *     `wechat_coupon_held`; only a sentence if there is no answer
     */
    async heldBy(partner, order) {
        const args = [order.uuid, partner.id, cartOf(order)];
        try {
            return await this.server.call("wechat_coupon_held", args);
        } catch (error) {
            const offline = _t(
                "No connection to the server: the customer's coupons cannot be shown. Scan the code instead."
            );
            return { message: this.server.sentenceOf(error, offline) };
        }
    }

    /** @see CouponLookup.isCouponCode */
    isCouponCode(code) {
        return this.codes.isCouponCode(code);
    }

    /** @see CouponReservation.release */
    release(order) {
        return this.reservation.release(order);
    }

    /** @see CouponReservation.renewWhenDue */
    renewWhenDue(order) {
        return this.reservation.renewWhenDue(order);
    }

    /** @see CouponServer.notify */
    notify(message, type) {
        this.server.notify(message, type);
    }

    /**
     * Look up a code and put the coupon on the order.
     *
     * @param {string} code clean, see `cleanCode`
     * @returns {Promise<LookupResult & {message: string, applied?: boolean}>}
     */
    async activate(code, order = this.pos.getOrder()) {
        if (this.pos.wechatPay.takesPayments && isPaymentCode(code)) {
            return {
                status: "refused",
                message: _t("This is a payment code. Go to payment to use it."),
            };
        }
        const present = order.wechatGuardedCoupons().find((card) => card.code === code);
        if (present) {
            return {
                status: "found",
                applied: order.wechatIsApplied(present),
                message: _t("This coupon is already on the order."),
            };
        }
        const result = await this.lookup(code, order);
        if (result.status !== "found") {
            return result;
        }
        return { ...result, ...(await this.rewards.attach(result.answer, order)) };
    }

    /**
     * A coupon was scanned on the payment screen: take it off the amount and hold it.
     */
    async activateWhilePaying(code, order) {
        if (order.wechatHasElectronicPayment()) {
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
        if (!(await this._reserveOrTell(order))) {
            for (const card of order.wechatGuardedCoupons().filter((card) => card.code === code)) {
                this._takeOff(card, order);
            }
        }
        this._adjustPayments(order, due);
    }

    /** A payment line that was to pay for everything still does, unless it is sent. */
    _adjustPayments(order, due) {
        const lines = order.payment_ids;
        if (order.wechatHasElectronicPayment()) {
            return;
        }
        if (lines.length === 1 && !order.currency.round(lines[0].amount - due)) {
            lines[0].setAmount(order.totalDue);
        }
    }

    /**
     * Take coupons off an order, and let them go on the server if they were held.
     */
    async remove(cards, order) {
        if (order.wechatHasElectronicPayment()) {
            this.notify(
                _t("A payment is under way. Cancel it before you take off a coupon."),
                "danger"
            );
            return;
        }
        for (const card of cards) {
            this._takeOff(card, order);
        }
        this.pos.updateRewards();
        if (!order.uiState.wechatReservation) {
            return;
        }
        if (this.pos.wechatIsPaying(order) && order.wechatAppliedCoupons().length) {
            await this._reserveOrTell(order);
        } else {
            await this.release(order);
        }
    }

    /** Hold the order's coupons; a refusal is told, and the validation gate asks again. */
    async _reserveOrTell(order) {
        const { ok, refusals } = await this.reservation.reserve(order);
        if (!ok) {
            this._tellRefusals(refusals);
        }
        return ok;
    }

    _takeOff(card, order) {
        this.codes.forget(order);
        this.rewards.takeOff(card, order);
    }

    /**
     * The gate before any payment: from here on a customer may pay on the phone.
     *
     * @returns {Promise<boolean>} whether the order may be paid
     */
    async mayPay(order) {
        if (!order.wechatAppliedCoupons().length) {
            this._releaseUnused(order);
            return true;
        }
        this._remindOfWaiting(order);
        const { ok, refusals } = await this.reservation.reserve(order);
        if (ok) {
            return true;
        }
        const answer = await this._askWhatToDo(order, refusals);
        if (answer === "released") {
            return this.mayPay(order);
        }
        if (answer === "remove") {
            const ids = refusals.map(({ coupon_id }) => coupon_id);
            this.remove(this.pos.models["loyalty.card"].readMany(ids), order);
        }
        return false;
    }

    /** The cashier does not wait for this: the server lets go by itself in the end. */
    _releaseUnused(order) {
        if (order.uiState.wechatReservation) {
            this.release(order);
        }
    }

    _remindOfWaiting(order) {
        for (const card of order.wechatGuardedCoupons()) {
            if (!order.wechatIsApplied(card)) {
                this.notify(
                    _t("The coupon “%(name)s” is not used on this order. %(reason)s", {
                        name: card.wechatName,
                        reason: order.wechatShortfall(card),
                    })
                );
            }
        }
    }

    /** @returns {Promise<"released"|"remove"|undefined>} */
    async _askWhatToDo(order, refusals) {
        if (refusals.length && refusals.every((refusal) => refusal.can_release)) {
            return this._offerRelease(order, refusals);
        }
        return (await this._offerRemoval(refusals)) ? "remove" : undefined;
    }

    /** WeChat is down: a manager may take the coupons, see the emergency plan. */
    async _offerRelease(order, refusals) {
        let managers = [];
        try {
            managers = await this.server.call("wechat_coupon_managers", []);
        } catch (error) {
            this.server.notify(
                this.server.sentenceOf(error, _t("No connection to the server.")),
                "danger"
            );
        }
        return makeAwaitable(this.pos.dialog, EmergencyPopup, {
            message: this.reservation.describe(refusals),
            managers,
            release: (release) => this._release(order, refusals, release),
        });
    }

    /** @returns {Promise<string>} what is wrong, or an empty text */
    async _release(order, refusals, release) {
        const ids = refusals.map(({ coupon_id }) => coupon_id);
        const cards = this.pos.models["loyalty.card"].readMany(ids);
        try {
            await this.server.call("wechat_coupon_release_offline", [
                order.uuid,
                cards.map(({ id, code }) => ({ id, code: code || false })),
                cartOf(order),
                release,
                order.getPartner()?.id || false,
            ]);
            return "";
        } catch (error) {
            return this.server.sentenceOf(error, _t("No connection to the server."));
        }
    }

    _offerRemoval(refusals) {
        return ask(
            this.pos.dialog,
            {
                title: _t("A coupon cannot be used"),
                body: this.reservation.describe(refusals),
                confirmLabel:
                    refusals.length > 1 ? _t("Remove these coupons") : _t("Remove the coupon"),
                cancelLabel: _t("Back to the order"),
            },
            {},
            ConfirmationDialog
        );
    }

    _tellRefusals(refusals) {
        this.pos.dialog.add(AlertDialog, {
            title: _t("A coupon cannot be used"),
            body: this.reservation.describe(refusals),
        });
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
        const cards = order.wechatAppliedCoupons();
        if (!cards.length) {
            this._releaseUnused(order);
            return true;
        }
        if (this.reservation.isFresh(order, cards)) {
            return true;
        }
        const { ok, offline, refusals } = await this.reservation.reserve(order);
        if (ok) {
            return true;
        }
        if (offline && order.wechatHoldsExactly(cards)) {
            return true;
        }
        if (order.wechatIsElectronicallyPaid()) {
            return ask(this.pos.dialog, {
                title: _t("A coupon cannot be used"),
                body: _t(
                    "%(reasons)s\n\nThe customer has already paid. You can finish the order; the manager then settles the coupon.",
                    { reasons: this.reservation.describe(refusals) }
                ),
                confirmLabel: _t("Finish the order"),
                cancelLabel: _t("Back"),
            });
        }
        this._tellRefusals(refusals);
        return false;
    }

    /**
     * An order came up on the payment screen without the payment gate: after a reload
     * of the browser, or from the list of orders. Ask what the server holds for it.
     */
    async resumePayment(order) {
        const cards = order.wechatAppliedCoupons();
        if (!cards.length || this.reservation.isFresh(order, cards)) {
            return;
        }
        try {
            if (await this.reservation.takeUp(order, cards)) {
                return;
            }
        } catch (error) {
            const message = this.server.sentenceOf(
                error,
                _t("No connection to the server: the coupons are checked again at validation.")
            );
            this.notify(message);
            return;
        }
        await this._reserveOrTell(order);
    }

    /** Back from payment to the cart: others may use the coupons meanwhile. */
    leavePayment(order) {
        const mayLetGo =
            order &&
            !order.finalized &&
            order.uiState.wechatReservation &&
            !order.wechatHasElectronicPayment();
        return mayLetGo ? this.release(order) : undefined;
    }
}
