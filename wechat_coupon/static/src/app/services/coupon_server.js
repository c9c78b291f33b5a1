import { TillServer } from "@wechat_pay/app/services/till_server";
import { _t } from "@web/core/l10n/translation";

/**
 * The line to the server about coupons.
 */
export class CouponServer extends TillServer {
    static logName = "CouponDesk";

    /** @throws {NoAnswerError} when the answer does not come in time */
    call(method, args) {
        return this.inTime(this.callWithoutLimit(method, args));
    }

    callWithoutLimit(method, args) {
        const { data, config } = this.pos;
        return data.call("pos.config", method, [[config.id], ...args]);
    }

    get brokenSentence() {
        return _t(
            "The server could not answer because of an error. Try again; if it happens again, go on without the coupon and tell the manager."
        );
    }

    /**
     * @param {Error} error of the call that was to say what a code is
     * @returns {string} a sentence for the cashier
     */
    sentenceAbout(code, error) {
        return this.sentenceOf(
            error,
            _t(
                "No connection to the server: %(code)s is not known to this till, and nobody could be asked. Nothing was added.",
                { code }
            )
        );
    }
}
