import { clock } from "@wechat_coupon/app/utils/clock";
import { cartOf } from "@wechat_coupon/app/utils/coupon_cart";
import { NoAnswerError } from "@wechat_pay/app/utils/time_limit";
import { _t } from "@web/core/l10n/translation";
import { ConnectionLostError } from "@web/core/network/rpc";
import { Mutex } from "@web/core/utils/concurrency";
import { markRaw } from "@odoo/owl";

const { DateTime } = luxon;

// The payment gate and the validation gate of a quick payment follow at once.
const FRESH_MS = 5000;
// A reservation is given more time than a question, as the till stands still for it.
const RESERVE_MS = 10000;
// A reservation is renewed when less than this part of its time is left.
const RENEW_PART = 1 / 3;

/**
 * What the server holds for an order, and what the till knows of that: the state
 * `wechatReservation` of the order.
 */
export class CouponReservation {
    /**
     * @param {import("@point_of_sale/app/services/pos_store").PosStore} pos
     * @param {import("./coupon_server").CouponServer} server
     */
    constructor(pos, server) {
        this.pos = pos;
        this.server = server;
        this.isRenewing = false;
        // Reserve and release of one till must reach the server in their order.
        this.mutex = markRaw(new Mutex());
    }

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
        const pending = this.server.callWithoutLimit("wechat_coupon_reserve", [
            order.uuid,
            // The code proves that this till has seen the coupon.
            cards.map(({ id, code }) => ({ id, code: code || false })),
            cartOf(order),
            order.getPartner()?.id || false,
        ]);
        try {
            const answer = await this.server.inTime(pending, RESERVE_MS);
            if (!answer.ok) {
                // All or nothing, but a reservation from before may still stand.
                return { ok: false, refusals: answer.refusals };
            }
            this._note(order, ids, answer);
            return { ok: true, refusals: [] };
        } catch (error) {
            const message = this.server.sentenceOf(
                error,
                _t(
                    "No connection to the server: the coupons of this order could not be reserved. Try again, or take them off the order."
                )
            );
            const offline = error instanceof ConnectionLostError;
            if (offline) {
                // The call may have arrived, so there may be something to let go.
                order.uiState.wechatReservation ||= { ids, until: 0, at: 0 };
                this.pos.wechatSaveLocally();
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
            await this._onLateAnswer(order, ids, await pending);
        } catch (error) {
            this.server.log("reserve", error);
        }
    }

    _onLateAnswer(order, ids, answer) {
        if (!answer.ok || (order.finalized && order.state !== "cancel")) {
            return undefined;
        }
        const held = order.uiState.wechatReservation;
        if (!held) {
            // Let go meanwhile; the server may have heard of that too early.
            return this.release(order);
        }
        if (!held.until) {
            this._note(order, ids, answer);
        }
        return undefined;
    }

    _note(order, ids, { expires_at }) {
        const until = DateTime.fromISO(expires_at, { zone: "utc" }).toMillis();
        order.uiState.wechatReservation = { ids, until, at: Date.now() };
        this.pos.wechatSaveLocally();
    }

    /** Let go what the server holds for an order. It lets go by itself in the end. */
    async release(order) {
        const held = order.uiState.wechatReservation;
        order.uiState.wechatReservation = null;
        this.pos.wechatSaveLocally();
        const { uuid } = order;
        return this.mutex.exec(async () => {
            // A renewal that was under way may have noted it again.
            order.uiState.wechatReservation = null;
            try {
                await this.server.call("wechat_coupon_release", [uuid]);
            } catch (error) {
                const message = this.server.sentenceOf(
                    error,
                    _t("No connection to the server.")
                );
                this.server.notify(
                    held?.until
                        ? _t("%(problem)s The order's coupons stay reserved until %(time)s.", {
                              problem: message,
                              time: clock(held.until),
                          })
                        : message
                );
            }
        });
    }

    /** Whether the server has said a moment ago that it holds exactly these coupons. */
    isFresh(order, cards) {
        return (
            order.wechatHoldsExactly(cards) &&
            Date.now() - order.uiState.wechatReservation.at < FRESH_MS
        );
    }

    /**
     * Ask what the server holds for an order, and note it if it is all of these.
     *
     * @returns {Promise<boolean>} whether it is
     */
    async takeUp(order, cards) {
        const { redemptions } = await this.server.call("wechat_coupon_status", [order.uuid]);
        const ids = cards.map((card) => card.id);
        const held = redemptions.filter(
            ({ coupon_id, state }) => ids.includes(coupon_id) && state === "reserved"
        );
        if (held.length !== ids.length) {
            return false;
        }
        const expires_at = held.map((redemption) => redemption.expires_at).sort()[0];
        this._note(order, ids, { expires_at });
        return true;
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
            if (!ok && !offline && held && this.pos.wechatIsPaying(order)) {
                // Once is enough: the validation gate asks again.
                held.at = 0;
                this.server.notify(this.describe(refusals));
            }
        } finally {
            this.isRenewing = false;
        }
    }

    _isRenewalDue(order) {
        const held = order?.uiState.wechatReservation;
        if (!held?.until || !held.at || !this.pos.wechatIsPaying(order)) {
            return false;
        }
        return held.until - Date.now() < (held.until - held.at) * RENEW_PART;
    }

    /** @returns {string} which coupon is refused and why, for the cashier */
    describe(refusals) {
        const cards = this.pos.models["loyalty.card"];
        return refusals
            .map(({ coupon_id, message }) => {
                const card = cards.get(coupon_id);
                const name = card && `${card.wechatName} (${card.wechatMaskedCode})`;
                return name ? `${name}: ${message}` : message;
            })
            .join("\n\n");
    }
}
