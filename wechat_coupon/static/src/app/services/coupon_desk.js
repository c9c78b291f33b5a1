import { AlertDialog, ConfirmationDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { ask } from "@point_of_sale/app/utils/make_awaitable_dialog";
import { CouponRewards } from "@wechat_coupon/app/services/coupon_rewards";
import { cartOf } from "@wechat_coupon/app/utils/coupon_cart";
import { NoAnswerError } from "@wechat_coupon/app/utils/time_limit";
import { _t } from "@web/core/l10n/translation";
import { ConnectionLostError } from "@web/core/network/rpc";

const { DateTime } = luxon;

// The payment gate and the validation gate of a quick payment follow at once.
const FRESH_MS = 5000;
// A reservation is given more time than a question, as the till stands still for it.
const RESERVE_MS = 10000;
// A reservation is renewed when less than this part of its time is left.
const RENEW_PART = 1 / 3;

/**
 * Everything the till does with our coupons: look them up, put them on an order, hold
 * them on the server while the order is paid, let them go.
 *
 * The server's ledger decides; this keeps the cashier informed. Orders without our
 * coupons never cause a call.
 */
export class CouponDesk extends CouponRewards {
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
        const cards = order.wechatAppliedCoupons();
        const ids = cards.map((card) => card.id);
        const pending = this.callWithoutLimit("wechat_coupon_reserve", [
            order.uuid,
            ids,
            cartOf(order),
            order.getPartner()?.id || false,
        ]);
        try {
            const answer = await this.inTime(pending, RESERVE_MS);
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
                this.saveLocally();
            }
            if (error instanceof NoAnswerError) {
                this._awaitLate(pending, order, ids);
            }
            return {
                ok: false,
                offline,
                refusals: cards.map((card) => ({ coupon_id: card.id, message })),
            };
        }
    }

    /** The till went on without the answer; what it says still counts. */
    async _awaitLate(pending, order, ids) {
        try {
            await this._onLateReservation(order, ids, await pending);
        } catch (error) {
            this.log("reserve", error);
        }
    }

    _onLateReservation(order, ids, answer) {
        if (!answer.ok || (order.finalized && order.state !== "cancel")) {
            return undefined;
        }
        const held = order.uiState.wechatReservation;
        if (!held) {
            // Let go meanwhile; the server may have heard of that too early.
            return this.release(order);
        }
        if (!held.until) {
            this._noteReservation(order, ids, answer);
        }
        return undefined;
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
            // A renewal that was under way may have noted it again.
            order.uiState.wechatReservation = null;
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
        if (!order.wechatAppliedCoupons().length) {
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
                const name = card && `${card.wechatName} (${card.wechatMaskedCode})`;
                return name ? `${name}: ${message}` : message;
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
        const cards = order.wechatAppliedCoupons();
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
        if (offline && order.wechatHoldsExactly(cards)) {
            return true;
        }
        const body = this._listed(refusals);
        if (order.wechatIsElectronicallyPaid()) {
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
            order.wechatHoldsExactly(cards) &&
            Date.now() - order.uiState.wechatReservation.at < FRESH_MS
        );
    }

    /**
     * An order came up on the payment screen without the payment gate: after a reload
     * of the browser, or from the list of orders. Ask what the server holds for it.
     */
    async resumePayment(order) {
        const cards = order.wechatAppliedCoupons();
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

    /**
     * A slow customer keeps the coupons: ask for more time before it runs out.
     *
     * The till does not stand still for this, and tells only what is refused: without
     * a connection it tries again, and the validation gate has the last word.
     */
    async renewWhenDue(order) {
        if (this.isRenewing || !this._isRenewalDue(order)) {
            return;
        }
        this.isRenewing = true;
        try {
            const { ok, offline, refusals } = await this.mutex.exec(() => this._reserve(order));
            const held = order.uiState.wechatReservation;
            if (!ok && !offline && held && this.isPaying(order)) {
                // Once is enough: the validation gate asks again.
                held.at = 0;
                this.notify(this._listed(refusals));
            }
        } finally {
            this.isRenewing = false;
        }
    }

    _isRenewalDue(order) {
        const held = order?.uiState.wechatReservation;
        if (!held?.until || !held.at || !this.isPaying(order)) {
            return false;
        }
        return held.until - Date.now() < (held.until - held.at) * RENEW_PART;
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
        const { ok, refusals } = await this.reserve(order);
        if (!ok) {
            for (const card of order.wechatGuardedCoupons().filter((card) => card.code === code)) {
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
