import { Reactive } from "@web/core/utils/reactive";
import { ConnectionLostError } from "@web/core/network/rpc";
import { _t } from "@web/core/l10n/translation";
import { markRaw } from "@odoo/owl";

const POLL_MS = 2000;
// A payment code is good for a minute: a call that is lost on the way charges nobody
// later than that.
export const CODE_LIFE_MS = 60000;
// A call whose connection broke reaches the server within moments, or never.
export const DOUBT_MS = 2 * POLL_MS;
const OPEN = ["draft", "sending", "waiting", "unknown", "closing"];

/**
 * One attempt to be paid for a line: from the scan, or the QR code, to its outcome.
 *
 * The server decides what became of it; this asks until it knows. It is reactive,
 * because the screen shows it.
 */
export class WechatPayment extends Reactive {
    /**
     * @param {Object} options
     * @param {Object} options.line payment line
     * @param {import("@wechat_pay/app/services/pay_server").PayServer} options.server
     * @param {"codepay"|"native"} options.way
     * @param {string} [options.oldNumber] of the line's last attempt, which is over
     * @param {function(WechatPayment): void} options.onChange
     * @param {function(WechatPayment, boolean): void} options.onEnd told whether it is
     *     paid
     * @param {function(WechatPayment): void} options.onAbnormal
     */
    constructor({ line, server, way, oldNumber, onChange, onEnd, onAbnormal }) {
        super();
        this.uuid = line.uuid;
        this.server = markRaw(server);
        this.oldNumber = oldNumber;
        Object.assign(this, { onChange, onEnd, onAbnormal });
        this.way = way;
        this.state = "sending";
        this.startedAt = Date.now();
        this.status = {};
        // A sentence of ours, e.g. that the server could not be reached.
        this.problem = "";
        // Why the server refused the call itself.
        this.reason = "";
        this.offline = false;
        this.cancelling = false;
        // Whether the cashier has given it up, as far as the server has not denied it.
        this.cancelAsked = false;
        this.isOver = false;
        // Whether the server has said that nothing comes of it any more.
        this.isRefused = false;
        // Since when nobody can say what becomes of it.
        this.troubleSince = 0;
        this.deadline = 0;
        // Calls that begin it and have no answer yet.
        this.calls = 0;
        this.doubtUntil = 0;
        this.isPolling = false;
    }

    get number() {
        return this.status.number || this.oldNumber;
    }

    get codeUrl() {
        return this.isOver ? "" : this.status.code_url || "";
    }

    /** @param {Object} payment see `wechat_pay_start` */
    start(payment) {
        this._plan();
        return this._call(this.server.start(payment));
    }

    /** Take up an attempt whose beginning this page has not seen. */
    resume() {
        this._doubt();
        return this.poll();
    }

    /** Go on from what the server has just said. */
    take(status) {
        this._apply(status);
        this._plan();
    }

    /** Hand the line over to a newer attempt. */
    replace() {
        this._stop();
    }

    /** @returns {Promise<void>} settled when the server has answered */
    async cancel() {
        if (this.isOver || this.cancelling) {
            return;
        }
        this.cancelling = this.cancelAsked = true;
        try {
            this._apply(await this.server.cancel(this.uuid));
        } catch (error) {
            this._note(error);
        } finally {
            this.cancelling = false;
        }
    }

    /** The cashier says that it is paid; the server keeps it for the accountant. */
    force() {
        this._end(true);
    }

    async poll() {
        if (this.isOver || this.isPolling) {
            return;
        }
        this.isPolling = true;
        try {
            this._apply(await this.server.status(this.uuid));
        } catch (error) {
            this._note(error);
        } finally {
            this.isPolling = false;
            this._plan();
        }
    }

    async _call(answer) {
        try {
            this._apply(await this._counted(answer), true);
        } catch (error) {
            this._note(error);
            if (error instanceof ConnectionLostError) {
                this._doubt();
            } else {
                // What it has come to is the server's to say.
                await this.poll();
            }
        }
    }

    async _counted(answer) {
        this.calls += 1;
        try {
            return await answer;
        } finally {
            this.calls -= 1;
        }
    }

    /** A call that nobody waits for any more may just be arriving at the server. */
    _doubt() {
        this.doubtUntil = Date.now() + DOUBT_MS;
    }

    _plan() {
        clearTimeout(this.timer);
        if (!this.isOver) {
            this.timer = setTimeout(() => this.poll(), POLL_MS);
        }
    }

    _note(error) {
        const sentence = this.server.sentenceOf(
            error,
            _t(
                "No connection to the server; the payment goes on there. It is asked again until it answers. Do not charge again."
            )
        );
        if (this.isOver) {
            return;
        }
        this.offline = error instanceof ConnectionLostError;
        this.problem = sentence;
        this.reason = this.offline ? "" : this.problem;
        this._noteTrouble(true);
    }

    /**
     * Whether a call that was sent may still begin a payment: then an answer that
     * nothing is under way, or that the line's last attempt is over, is no answer.
     */
    get mayStillBegin() {
        const now = Date.now();
        return now < this.doubtUntil || (this.calls > 0 && now < this.startedAt + CODE_LIFE_MS);
    }

    /** @param {boolean} [own] whether it answers a call of this attempt */
    _apply(status, own = false) {
        if (this.isOver) {
            return;
        }
        this.offline = false;
        const isUnderWay = OPEN.includes(status.state) && !status.abandoned;
        if (status.state === "done" && !status.abandoned) {
            this._show(status);
            this._end(true);
        } else if (isUnderWay) {
            this.cancelAsked &&= this.cancelling || status.state === "closing";
            this._show(status);
            this._noteTrouble(["unknown", "closing"].includes(status.state));
        } else if (status.state === "abnormal") {
            const isNew = this.state !== "abnormal";
            this._show(status);
            this._noteTrouble(true);
            if (isNew) {
                this.onAbnormal(this);
            }
        } else if (own || this._isOurs(status) || !this.mayStillBegin) {
            this._refused(status);
        } else {
            this.problem = "";
        }
    }

    /** Whether the server speaks of this attempt, and not of an earlier one. */
    _isOurs({ number }) {
        return Boolean(number) && number !== this.oldNumber;
    }

    _show(status) {
        this.problem = "";
        this.status = status;
        this.state = status.state;
        this.way = status.way || this.way;
        this.deadline = status.seconds ? Date.now() + status.seconds * 1000 : 0;
        this.onChange(this);
    }

    _refused(status) {
        this.isRefused = this._isOurs(status);
        const isTold = this.isRefused || status.error;
        const message =
            (isTold && status.message) ||
            this.reason ||
            _t("The payment has not reached the server. Nothing was charged; scan again.");
        this._show({ ...status, state: "failed", message });
        this._end(false);
    }

    _noteTrouble(isTrouble) {
        if (!isTrouble) {
            this.troubleSince = 0;
        } else if (!this.troubleSince) {
            this.troubleSince = Date.now();
        }
    }

    _stop() {
        this.isOver = true;
        clearTimeout(this.timer);
        this.onChange(this);
    }

    _end(isPaid) {
        if (this.isOver) {
            return;
        }
        this._stop();
        this.onEnd(this, isPaid);
    }
}
