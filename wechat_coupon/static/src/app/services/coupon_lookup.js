import { cartOf } from "@wechat_coupon/app/utils/coupon_cart";
import { maskCode } from "@wechat_coupon/app/utils/code_router";
import { _t } from "@web/core/l10n/translation";
import { ConnectionLostError, RPCError } from "@web/core/network/rpc";
import { Reactive } from "@web/core/utils/reactive";
import { markRaw } from "@odoo/owl";

// A scanner that reads the same code twice does so within this time.
const REPEAT_MS = 1500;
// After this time the cashier wants to know what the till is waiting for.
const SLOW_MS = 600;
// Answers that leave open whether the code is a coupon.
const UNSURE = ["remote_unavailable", "account_misconfigured", "too_many_tries"];
const MAX_CODE_LENGTH = 64;
const KNOWN_CODES = 50;

/**
 * @typedef {Object} LookupResult
 * @property {"found"|"refused"|"unknown"|"unreachable"} status
 * @property {boolean} [offline] unreachable because this till has no connection
 * @property {string} [message] a sentence for the cashier, unless found
 * @property {Object} [answer] the server's answer, when found
 */

/**
 * What the server says about a code. Screens show which ones are being asked for, so
 * this is reactive.
 */
export class CouponLookup extends Reactive {
    /**
     * @param {import("@point_of_sale/app/services/pos_store").PosStore} pos
     * @param {import("./coupon_server").CouponServer} server
     */
    constructor(pos, server) {
        super();
        this.pos = pos;
        this.server = server;
        // Codes that are being looked up: the order shows them.
        this.busyCodes = [];
        this.lookups = markRaw(new Map());
        // Twelve-digit codes that are coupons and products, the newest last.
        this.couponCodes = markRaw(new Set());
    }

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
        // Who scans again after a failure wants to know whether it is over.
        let wait = 0;
        try {
            const result = await this._lookup(code, order);
            wait = result.status === "unreachable" ? 0 : REPEAT_MS;
            return result;
        } finally {
            setTimeout(() => this.lookups.delete(key), wait);
        }
    }

    /** A coupon left the order: it, and what could not be used beside it, is asked anew. */
    forget(order) {
        for (const key of [...this.lookups.keys()]) {
            if (key.startsWith(`${order.uuid} `)) {
                this.lookups.delete(key);
            }
        }
    }

    async _lookup(code, order) {
        if (code.length > MAX_CODE_LENGTH) {
            return { status: "unknown", message: _t("No coupon has such a long code.") };
        }
        const done = this._tellBusy(code);
        try {
            const answer = await this.server.call("wechat_coupon_lookup", [
                code,
                order.uuid,
                order.getPartner()?.id || false,
                cartOf(order),
                this._guardedProgramIds(),
                // Which it could be used beside.
                order.wechatGuardedCoupons().map(({ id, code }) => ({ id, code: code || false })),
            ]);
            return this._readAnswer(answer);
        } catch (error) {
            const message = this.server.sentenceOf(
                error,
                _t(
                    "No connection to the server: the code %(code)s could not be looked up. Nothing was changed. Scan it again when the connection is back.",
                    { code: maskCode(code) }
                )
            );
            const offline = error instanceof ConnectionLostError;
            return { status: "unreachable", message, offline };
        } finally {
            done();
        }
    }

    /**
     * The order shows what is being looked up; on a phone it may be out of sight.
     *
     * @returns {function(): void} to call when it is over
     */
    _tellBusy(code) {
        this.busyCodes.push(code);
        let close = () => {};
        const timer = setTimeout(() => {
            const message = _t("Looking up %(code)s…", { code: maskCode(code) });
            close = this.pos.notification.add(message, { type: "info", sticky: true });
        }, SLOW_MS);
        return () => {
            clearTimeout(timer);
            close();
            this.busyCodes.splice(this.busyCodes.indexOf(code), 1);
        };
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
        if (this.couponCodes.has(code)) {
            return true;
        }
        try {
            // A "no" may be wrong tomorrow: coupons are made all day.
            if (!(await this.server.call("wechat_coupon_is_code", [code]))) {
                return false;
            }
        } catch (error) {
            if (!(error instanceof ConnectionLostError || error instanceof RPCError)) {
                throw error;
            }
            this.server.log("isCouponCode", error);
            return false;
        }
        this._remember(code);
        return true;
    }

    _remember(code) {
        this.couponCodes.add(code);
        if (this.couponCodes.size > KNOWN_CODES) {
            const [oldest] = this.couponCodes;
            this.couponCodes.delete(oldest);
        }
    }
}
