import { _t } from "@web/core/l10n/translation";
import { ConnectionLostError, rpc } from "@web/core/network/rpc";
import { registry } from "@web/core/registry";
import { Interaction } from "@web/public/interaction";

const POLL_MS = 2500;
const DONE = "/payment/status";

/** The page on which a customer pays with WeChat. */
export class WechatPayment extends Interaction {
    static selector = ".o_wechat_pay";

    dynamicContent = {
        ".o_wechat_pay_paid": { "t-on-click.withTarget": this.onPaid },
        ".o_wechat_pay_retry": { "t-on-click.withTarget": this.onRetry },
        ".o_wechat_pay_cancel": { "t-on-click.withTarget": this.onCancel },
        ".o_wechat_pay_reload": { "t-on-click": () => window.location.reload() },
        ".o_wechat_pay_invoke": { "t-on-click": this.onInvoke },
        ".o_wechat_pay_copy": { "t-on-click": this.onCopy },
    };

    setup() {
        const { seconds, number, state, way, jsapi } = this.el.dataset;
        this.number = number;
        this.way = way;
        this.shown = state;
        this.jsapi = jsapi ? JSON.parse(jsapi) : null;
        this.deadline = Date.now() + 1000 * parseInt(seconds || 0);
    }

    start() {
        this.tick();
        if (["payable", "checking"].includes(this.shown)) {
            this.poll();
        }
        if (this.jsapi) {
            this.whenBridge(() => this.onInvoke());
        }
    }

    ask(what, params = {}) {
        return this.waitFor(
            rpc(
                `${this.el.dataset.path}/${what}`,
                { access_token: this.el.dataset.accessToken, ...params },
                { silent: true }
            )
        );
    }

    tick() {
        const clock = this.el.querySelector(".o_wechat_pay_clock");
        if (clock) {
            const left = Math.max(0, Math.round((this.deadline - Date.now()) / 1000));
            const seconds = String(left % 60).padStart(2, "0");
            clock.textContent = `${Math.floor(left / 60)}:${seconds}`;
            this.waitForTimeout(() => this.tick(), 1000);
        }
    }

    poll() {
        this.waitForTimeout(async () => {
            try {
                this.show(await this.ask("status"));
            } catch (error) {
                if (!(error instanceof ConnectionLostError)) {
                    this.note(_t("The shop does not answer. Load this page again."));
                    return;
                }
            }
            if (["payable", "checking"].includes(this.el.dataset.state)) {
                this.poll();
            }
        }, POLL_MS);
    }

    /** Bring the page in line with what the server says. */
    show(status) {
        if (["paid", "over"].includes(status.state)) {
            this.el.dataset.state = "paid" === status.state ? "paid" : "checking";
            // Others than the customer may pay; the document is not theirs to see.
            if (this.el.dataset.own) {
                window.location = DONE;
            } else if (status.state === "over") {
                window.location.reload();
            }
            return;
        }
        if (status.number !== this.number) {
            this.el.dataset.state = "elsewhere";
            return;
        }
        if (status.state === "payable" && this.shown !== "payable") {
            // The code was not there yet when the page was made.
            window.location.reload();
            return;
        }
        this.el.dataset.state = status.state;
        this.el.querySelector(".o_wechat_pay_message").textContent = status.message;
    }

    note(text) {
        this.el.querySelector(".o_wechat_pay_note").textContent = text;
    }

    async busy(button, work) {
        button.disabled = true;
        this.note("");
        try {
            await work();
        } catch {
            this.note(_t("The shop does not answer. Load this page again."));
        } finally {
            button.disabled = false;
        }
    }

    onPaid(ev, button) {
        return this.busy(button, async () => {
            const status = await this.ask("status", { now: true });
            this.show(status);
            if (status.state === "payable") {
                this.note(_t("WeChat has no payment for this yet."));
            }
        });
    }

    onRetry(ev, button) {
        return this.busy(button, async () => {
            await this.ask("retry", { way: this.way });
            window.location.reload();
        });
    }

    onCancel(ev, button) {
        return this.busy(button, async () => {
            await this.ask("cancel");
            window.location = DONE;
        });
    }

    async onCopy() {
        const link = this.el.querySelector(".o_wechat_pay_link");
        link.select();
        if (navigator.clipboard) {
            await this.waitFor(navigator.clipboard.writeText(link.value));
        } else {
            // Without https there is no clipboard.
            document.execCommand("copy");
        }
        this.note(_t("The link is copied."));
    }

    // Inside WeChat: https://pay.weixin.qq.com/doc/v3/merchant/4012791857

    whenBridge(callback) {
        if (window.WeixinJSBridge) {
            callback();
        } else {
            this.addListener(document, "WeixinJSBridgeReady", callback, { once: true });
        }
    }

    onInvoke() {
        this.note("");
        this.whenBridge(() =>
            window.WeixinJSBridge.invoke("getBrandWCPayRequest", this.jsapi, (answer) =>
                this.onInvoked(answer.err_msg)
            )
        );
    }

    /** What WeChat says here is a hint; only the server knows whether it is paid. */
    async onInvoked(message) {
        if (message === "get_brand_wcpay_request:ok") {
            this.el.dataset.state = "checking";
            try {
                this.show(await this.ask("status", { now: true }));
            } catch (error) {
                if (!(error instanceof ConnectionLostError)) {
                    throw error;
                }
                this.poll();
            }
        } else if (message === "get_brand_wcpay_request:cancel") {
            this.note(_t("You have not paid yet."));
        } else {
            this.note(_t("WeChat could not open the payment. Try again."));
        }
    }
}

registry.category("public.interactions").add("wechat_pay.wechat_payment", WechatPayment);
