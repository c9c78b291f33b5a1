import { logPosMessage } from "@point_of_sale/app/utils/pretty_console_log";
import { withinTime } from "@wechat_pay/app/utils/time_limit";
import { _t } from "@web/core/l10n/translation";
import { ConnectionLostError, RPCError } from "@web/core/network/rpc";

const ANSWER_MS = 8000;
// Odoo's errors that are sentences for the user; other texts are for developers.
const SENTENCES = ["UserError", "AccessError", "ValidationError"].map(
    (name) => `odoo.exceptions.${name}`
);

/** @returns {boolean} whether the server has refused a call and says why */
export function isRefusal(error) {
    return error instanceof RPCError && SENTENCES.includes(error.exceptionName);
}

/**
 * The line to the server: calls that end in time, and what the cashier and the log
 * are told when one fails.
 */
export class TillServer {
    static logName = "WechatPay";

    constructor(pos) {
        this.pos = pos;
    }

    inTime(answer, millis = ANSWER_MS) {
        return withinTime(answer, millis);
    }

    /** What a cashier reads when the server has broken down over a call. */
    get brokenSentence() {
        return _t(
            "The server could not answer because of an error. Try again; if it happens again, tell the manager."
        );
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
        if (isRefusal(error) && error.data?.message) {
            return error.data.message;
        }
        return this.brokenSentence;
    }

    log(functionName, error) {
        console.warn(error);
        logPosMessage(this.constructor.logName, functionName, error.message, false, [error.data]);
    }

    notify(message, type = "warning", options = {}) {
        this.pos.notification.add(message, { type, autocloseDelay: 6000, ...options });
    }
}
