import { logPosMessage } from "@point_of_sale/app/utils/pretty_console_log";
import { cartOf } from "@wechat_coupon/app/utils/coupon_cart";
import { isPaymentCode, maskCode } from "@wechat_coupon/app/utils/code_router";
import { withinTime } from "@wechat_coupon/app/utils/time_limit";
import { _t } from "@web/core/l10n/translation";
import { ConnectionLostError, RPCError } from "@web/core/network/rpc";
import { Mutex } from "@web/core/utils/concurrency";
import { Reactive } from "@web/core/utils/reactive";
import { markRaw } from "@odoo/owl";

// A scanner that reads the same code twice does so within this time.
const REPEAT_MS = 1500;
// After this time the cashier wants to know what the till is waiting for.
const SLOW_MS = 600;
// Answers that leave open whether the code is a coupon.
const UNSURE = ["remote_unavailable", "account_misconfigured", "too_many_tries"];
const MAX_CODE_LENGTH = 64;
const ANSWER_MS = 8000;
const KNOWN_CODES = 50;
// Odoo's errors that are sentences for the user; other texts are for developers.
const SENTENCES = ["UserError", "AccessError", "ValidationError"].map(
    (name) => `odoo.exceptions.${name}`
);

/**
 * @typedef {Object} LookupResult
 * @property {"found"|"refused"|"unknown"|"unreachable"} status
 * @property {boolean} [offline] unreachable because this till has no connection
 * @property {string} [message] a sentence for the cashier, unless found
 * @property {Object} [answer] the server's answer, when found
 */

/**
 * Calls to the server, and what they say about a code.
 */
export class CouponLookup extends Reactive {
    constructor(pos) {
        super();
        this.pos = pos;
        // Codes that are being looked up: the order shows them.
        this.busyCodes = [];
        this.isRenewing = false;
        this.lookups = markRaw(new Map());
        // Twelve-digit codes that are coupons and products, the newest last.
        this.couponCodes = markRaw(new Set());
        // Reserve and release of one till must reach the server in their order.
        this.mutex = markRaw(new Mutex());
        // Coupons get onto an order one after the other.
        this.turn = markRaw(new Mutex());
    }

    /** @throws {NoAnswerError} when the answer does not come in time */
    call(method, args) {
        return this.inTime(this.callWithoutLimit(method, args));
    }

    callWithoutLimit(method, args) {
        const { data, config } = this.pos;
        return data.call("pos.config", method, [[config.id], ...args]);
    }

    inTime(answer, millis = ANSWER_MS) {
        return withinTime(answer, millis);
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
        if (!(error instanceof RPCError)) {
            throw error;
        }
        this.log("call", error);
        if (SENTENCES.includes(error.exceptionName) && error.data?.message) {
            return error.data.message;
        }
        return _t(
            "The server could not answer because of an error. Try again; if it happens again, go on without the coupon and tell the manager."
        );
    }

    log(functionName, error) {
        console.warn(error);
        logPosMessage("CouponDesk", functionName, error.message, false, [error.data]);
    }

    notify(message, type = "warning", options = {}) {
        this.pos.notification.add(message, { type, autocloseDelay: 6000, ...options });
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
        const done = this._tellBusy(code);
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
            if (!(await this.call("wechat_coupon_is_code", [code]))) {
                return false;
            }
        } catch (error) {
            if (!(error instanceof ConnectionLostError || error instanceof RPCError)) {
                throw error;
            }
            this.log("isCouponCode", error);
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
        return { ...result, ...(await this.attach(result.answer, order)) };
    }
}
