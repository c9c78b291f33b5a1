import { Reactive } from "@web/core/utils/reactive";
import { ConnectionLostError } from "@web/core/network/rpc";
import { _t } from "@web/core/l10n/translation";

const REPEAT_MS = 5000;

/**
 * Money that goes back for a line. The server knows the line, so the call can be
 * repeated until it is answered.
 */
export class WechatRefund extends Reactive {
    constructor(line) {
        super();
        this.uuid = line.uuid;
        this.isRefund = true;
        this.isOver = false;
        this.state = "sending";
        this.status = {};
        this.problem = "";
        this.troubleSince = 0;
    }

    /**
     * @param {import("@wechat_pay/app/services/pay_server").PayServer} server
     * @param {Object} refund see `wechat_pay_refund`
     * @returns {Promise<boolean>} whether the money goes back
     */
    async send(server, refund) {
        while (!this.isOver) {
            try {
                const status = await server.inTime(server.refund(refund));
                this._over(status.state, status);
            } catch (error) {
                const sentence = server.sentenceOf(
                    error,
                    _t(
                        "No connection to the server; whether the money goes back is not known yet. The refund is repeated until it is; it is paid only once."
                    )
                );
                if (!(error instanceof ConnectionLostError)) {
                    this.fail(sentence);
                } else {
                    await this._wait(sentence);
                }
            }
        }
        return this.state !== "failed";
    }

    /** @returns {WechatRefund} */
    fail(message) {
        return this._over("failed", { message });
    }

    /** The cashier says that the money goes back. */
    force() {
        this._over("forced", {});
        this.wake?.();
    }

    /** Ask again at once. */
    poll() {
        this.wake?.();
    }

    _wait(problem) {
        this.problem = problem;
        this.troubleSince ||= Date.now();
        return new Promise((resolve) => {
            this.wake = resolve;
            setTimeout(resolve, REPEAT_MS);
        });
    }

    _over(state, status) {
        if (!this.isOver) {
            Object.assign(this, { isOver: true, problem: "", state, status });
        }
        return this;
    }
}
