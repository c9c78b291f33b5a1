import { isRefusal } from "@wechat_pay/app/services/till_server";
import { Reactive } from "@web/core/utils/reactive";
import { ConnectionLostError } from "@web/core/network/rpc";
import { _t } from "@web/core/l10n/translation";

const REPEAT_MS = 5000;
// No longer than a cashier and a customer stand there.
export const PATIENCE_MS = 60000;

/**
 * Money that goes back for a line. The server knows the line, so the call can be
 * repeated until it is answered.
 *
 * Its state is the server's, or `sending`, `forced` (the cashier goes on without an
 * answer) or `unknown` (nobody can say whether the money goes back).
 */
export class WechatRefund extends Reactive {
    /**
     * @param {Object} line payment line
     * @param {boolean} [inDoubt] whether the money may be on its way already
     */
    constructor(line, inDoubt = false) {
        super();
        this.uuid = line.uuid;
        this.isRefund = true;
        this.inDoubt = inDoubt;
        this.isOver = false;
        this.state = "sending";
        this.status = {};
        this.problem = "";
        this.troubleSince = 0;
    }

    /**
     * @param {import("@wechat_pay/app/services/pay_server").PayServer} server
     * @param {Object} refund see `wechat_pay_refund`
     * @returns {Promise<boolean>} whether money goes back, perhaps a part of it
     */
    async send(server, refund) {
        while (!this.isOver) {
            try {
                const status = await server.refund(refund);
                this.inDoubt = false;
                this._over(status.state, status);
            } catch (error) {
                await this._failedCall(server, error);
            }
        }
        return this.state === "failed" ? this.status.amount > 0 : this.state !== "unknown";
    }

    async _failedCall(server, error) {
        const sentence = server.sentenceOf(
            error,
            _t(
                "No connection to the server; whether the money goes back is not known yet. The refund is repeated until it is; it is paid only once."
            )
        );
        this.inDoubt ||= !isRefusal(error);
        if (!(error instanceof ConnectionLostError)) {
            this._over(this.inDoubt ? "unknown" : "failed", { message: sentence });
        } else if (this.troubleSince && Date.now() - this.troubleSince >= PATIENCE_MS) {
            this.lose(
                _t(
                    "No connection to the server; whether the money goes back is not known yet. You can go on with the next customer and press Refund again later; the money goes back only once."
                )
            );
        } else {
            await this._wait(sentence);
        }
    }

    /**
     * Nobody can say what becomes of it; it has to be sent again.
     *
     * @returns {WechatRefund}
     */
    lose(message) {
        this.inDoubt = true;
        return this._over("unknown", { message });
    }

    /** The cashier goes on without an answer. */
    force() {
        Object.assign(this, { isOver: true, problem: "", state: "forced", status: {} });
        this.wake?.();
    }

    /** Ask again at once. */
    poll() {
        this.wake?.();
    }

    async _wait(problem) {
        this.problem = problem;
        this.troubleSince ||= Date.now();
        let timer;
        await new Promise((resolve) => {
            this.wake = resolve;
            timer = setTimeout(resolve, REPEAT_MS);
        });
        clearTimeout(timer);
    }

    _over(state, status) {
        if (!this.isOver) {
            Object.assign(this, { isOver: true, problem: "", state, status });
        }
        return this;
    }
}
