import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { PaymentInterface } from "@point_of_sale/app/utils/payment/payment_interface";
import { register_payment_method } from "@point_of_sale/app/services/pos_store";
import { PayServer } from "@wechat_pay/app/services/pay_server";
import { isSettled } from "@wechat_pay/app/services/wechat_pay_desk";
import { toFen } from "@wechat_pay/app/utils/fen";
import { receiptOf } from "@wechat_pay/app/utils/payment/payment_view";
import { WechatPayment } from "@wechat_pay/app/utils/payment/wechat_payment";
import { WechatRefund } from "@wechat_pay/app/utils/payment/wechat_refund";
import { generateQRCodeDataUrl } from "@point_of_sale/utils";
import { ConnectionLostError } from "@web/core/network/rpc";
import { _t } from "@web/core/l10n/translation";

// Refusals that a cashier must not overlook: somebody else takes money for the order.
const TO_BE_READ = ["busy", "closed", "paid_already"];

/**
 * WeChat Pay: the customer's payment code is scanned, or the customer scans ours.
 *
 * Choosing the method sends nothing: the line stays "pending", so that its amount can
 * be changed, until a code is scanned.
 */
export class PaymentWechatPay extends PaymentInterface {
    setup(pos, paymentMethod) {
        super.setup(...arguments);
        this.server = new PayServer(pos, paymentMethod);
        // By uuid of the line: {way, code}, from the scan to its being sent.
        this.wishes = new Map();
        this.resolvers = new Map();
    }

    get dialog() {
        return this.env.services.dialog;
    }

    get desk() {
        return this.pos.wechatPay;
    }

    get takesCodes() {
        return this.payment_method_id.wechat_ways !== "native";
    }

    get showsCodes() {
        return this.payment_method_id.wechat_ways !== "codepay";
    }

    /** A shop that shows a QR code only has nothing to wait for. */
    get fastPayments() {
        return !this.takesCodes;
    }

    /** @param {{way: string, code?: string}} wish for the next request of a line */
    wish(uuid, wish) {
        this.wishes.set(uuid, wish);
    }

    /** @override */
    sendPaymentRequest(uuid) {
        const wish = this.wishes.get(uuid) || { way: this.takesCodes ? "codepay" : "native" };
        this.wishes.delete(uuid);
        const line = this._lineOf(uuid);
        if (line.amount < 0) {
            return this._refund(line);
        }
        const problem = this._problemOf(line, wish);
        if (problem) {
            this.desk.notify(problem, "danger");
            return Promise.resolve(false);
        }
        return this._start(line, wish);
    }

    /**
     * @override
     * @returns {Promise<boolean>} whether the line is free again
     */
    async sendPaymentCancel(order, uuid) {
        const payment = this.desk.paymentOf(uuid);
        await payment?.cancel();
        return !payment || (payment.isOver && !this._lineOf(uuid)?.isDone());
    }

    /**
     * Before a line is dropped. Whatever the till takes it for: what was ever sent is
     * cancelled, and a payment that turns out to be made makes the line paid.
     *
     * @returns {Promise<boolean>} whether no money moves by the line; otherwise the
     *     cashier has been told why
     */
    async letGo(line) {
        const payment = this.desk.paymentOf(line.uuid);
        if (this.desk.isUnderWay(line)) {
            return payment.isRefund ? false : this.sendPaymentCancel(line.pos_order_id, line.uuid);
        }
        if (line.amount < 0 || payment?.isRefund) {
            return this._letGoRefund(line, payment);
        }
        const wasSent = payment || line.getPaymentStatus() !== "pending";
        return !wasSent || this._letGoSent(line, payment);
    }

    async _letGoSent(line, payment) {
        let status;
        try {
            status = await this.server.cancel(line.uuid);
        } catch (error) {
            const sentence = this.server.sentenceOf(
                error,
                _t(
                    "No connection to the server: whether the customer has paid is not known. The payment stays here until the server answers."
                )
            );
            if (error instanceof ConnectionLostError && payment?.isRefused) {
                // The server's last word on it was that nothing is paid.
                return true;
            }
            this.desk.notify(sentence, "danger");
            return false;
        }
        return !this._takeUp(line, status);
    }

    _letGoRefund(line, refund) {
        const wasSent = refund || line.getPaymentStatus();
        if (!wasSent || refund?.state === "failed") {
            return true;
        }
        this._alert(
            _t("Whether the money has gone back is not known. Press Refund again to find out.")
        );
        return false;
    }

    /** Nobody follows the line any more; whoever waits for it is told no. */
    drop(line) {
        this.desk.paymentOf(line.uuid)?.replace();
        this.resolvers.get(line.uuid)?.(false);
        this.resolvers.delete(line.uuid);
    }

    /**
     * Find out what became of a line that this page has not followed: after a reload,
     * or when another till began it. It never charges.
     */
    async resume(line) {
        if (this.desk.isUnderWay(line) || line.isDone()) {
            return;
        }
        if (line.amount < 0) {
            this._resumeRefund(line);
        } else if (this._isWaiting(line)) {
            await this._follow(line, {}).resume();
        } else {
            await this._peek(line);
        }
    }

    /** The cashier takes over: charge another code while the customer has ours. */
    switchTo(line, wish) {
        const earlier = this.desk.paymentOf(line.uuid);
        earlier.replace();
        return this._begin(line, wish, earlier.number);
    }

    _isWaiting(line) {
        return !["pending", "retry"].includes(line.getPaymentStatus());
    }

    _resumeRefund(line) {
        if (!this._isWaiting(line) || !line.getPaymentStatus()) {
            return;
        }
        this.desk.keep(
            new WechatRefund(line).lose(
                _t(
                    "The page was reloaded. Press Refund again to see what became of it; the money goes back only once."
                )
            )
        );
        line.setPaymentStatus("retry");
    }

    /** Look once whether a line that seems to be free is. */
    async _peek(line) {
        let status;
        try {
            status = await this.server.status(line.uuid);
        } catch (error) {
            this.server.sentenceOf(error, "");
            return;
        }
        this._takeUp(line, status);
    }

    /**
     * Go on with a line that seemed to be free.
     *
     * @returns {boolean} whether the customer pays, or has paid, by it
     */
    _takeUp(line, status) {
        const isFree = ["none", "failed", "cancelled"].includes(status.state);
        if (this.desk.isUnderWay(line) || isSettled(line)) {
            return true;
        }
        if (isFree || status.abandoned || !this._lineOf(line.uuid)) {
            return false;
        }
        line.setPaymentStatus("waiting");
        this._follow(line, {}).take(status);
        return true;
    }

    _lineOf(uuid) {
        return this.pos.models["pos.payment"].getBy("uuid", uuid);
    }

    _problemOf(line, { way, code }) {
        const order = line.pos_order_id;
        if (way === "codepay" && this.takesCodes && !code) {
            return _t("Scan the customer's payment code.");
        }
        if (way === "native" ? !this.showsCodes : !this.takesCodes) {
            return _t("This way of paying is not allowed here.");
        }
        if (toFen(line.amount) <= 0) {
            return _t("Enter the amount first.");
        }
        if (toFen(line.amount) > toFen(order.remainingDue)) {
            return _t("The amount is more than what is still due. Enter it again.");
        }
        return "";
    }

    _start(line, wish) {
        const ended = new Promise((resolve) => this.resolvers.set(line.uuid, resolve));
        this._begin(line, wish, this.desk.paymentOf(line.uuid)?.number);
        return ended;
    }

    _begin(line, { way, code }, oldNumber) {
        const order = line.pos_order_id;
        return this._follow(line, { way, oldNumber }).start({
            config: this.pos.config.id,
            order: order.uuid,
            line: line.uuid,
            name: order.getName(),
            amount: toFen(line.amount),
            total: toFen(order.totalDue),
            way,
            code,
        });
    }

    /** @returns {WechatPayment} */
    _follow(line, { way, oldNumber }) {
        return this.desk.keep(
            new WechatPayment({
                line,
                way: way || "codepay",
                oldNumber,
                server: this.server,
                onChange: (payment) => this._showOnDisplay(payment),
                onEnd: (payment, isPaid) => this._ended(payment, isPaid),
                onAbnormal: ({ status }) => this._alert(status.message),
            })
        );
    }

    _alert(body) {
        this.dialog.add(AlertDialog, { title: _t("WeChat Pay"), body });
    }

    /** The customer display shows what a line has as `qrPaymentData`. */
    _showOnDisplay({ uuid, codeUrl }) {
        const line = this._lineOf(uuid);
        if (!line || Boolean(line.qrPaymentData) === Boolean(codeUrl)) {
            return;
        }
        line.qrPaymentData = codeUrl
            ? {
                  name: this.payment_method_id.name,
                  amount: this.env.utils.formatCurrency(line.amount),
                  qrCode: generateQRCodeDataUrl(codeUrl, { width: 200, height: 200 }),
              }
            : null;
    }

    _ended(payment, isPaid) {
        const { uuid, status } = payment;
        const line = this._lineOf(uuid);
        if (isPaid && line && status.state === "done") {
            this._writePaid(line, status);
        } else if (isPaid && line) {
            this._writeForced(line);
        } else if (TO_BE_READ.includes(status.error)) {
            this._alert(status.message);
        }
        const resolve = this.resolvers.get(uuid);
        this.resolvers.delete(uuid);
        if (resolve) {
            return resolve(isPaid);
        }
        // Nobody waits for it: e.g. it was begun before the page was reloaded.
        line?.handlePaymentResponse(isPaid);
        if (isPaid && line) {
            this.desk.paid(line);
        }
    }

    /** Without a number of WeChat's the line counts as not confirmed. */
    _writeForced(line) {
        line.ticket = _t("Not confirmed by WeChat; it is checked later.");
        this.desk.notify(line.ticket);
    }

    _writePaid(line, status) {
        if (toFen(line.amount) !== status.amount) {
            // What was paid is paid, whatever the line has become.
            line.setAmount(status.amount / 100);
        }
        line.transaction_id = status.transaction_id;
        line.payment_ref_no = status.number;
        line.card_type = "WeChat Pay";
        line.ticket = receiptOf(status, this.env.utils.formatCurrency);
    }

    /** @returns {Promise<boolean>} whether money goes back */
    async _refund(line) {
        const earlier = this.desk.paymentOf(line.uuid);
        const refund = this.desk.keep(new WechatRefund(line, earlier?.inDoubt));
        const isDone = await refund.send(this.server, {
            config: this.pos.config.id,
            ...line.pos_order_id.wechatRefundOf(line),
        });
        if (refund.state === "forced") {
            this._writeForced(line);
        } else if (isDone) {
            this._writeRefunded(line, refund.status);
        }
        return isDone;
    }

    /** What the server says counts: the money of a line may come from several payments. */
    _writeRefunded(line, { amount, message, numbers }) {
        const asked = -toFen(line.amount);
        if (amount !== asked) {
            line.setAmount(-amount / 100);
        }
        if (amount < asked) {
            const [part, all] = [amount, asked].map((fen) =>
                this.env.utils.formatCurrency(fen / 100)
            );
            this._alert(
                _t(
                    "Only %(part)s of %(all)s goes back with WeChat. Choose how the rest goes back. %(reason)s",
                    { part, all, reason: message }
                )
            );
        } else if (message) {
            this.desk.notify(message, "info");
        }
        line.payment_ref_no = numbers.join(" ");
        line.card_type = "WeChat Pay";
    }

    /** The cashier goes on without the server's answer to a refund. */
    forceRefund(line) {
        const refund = this.desk.paymentOf(line.uuid);
        const isAwaited = !refund.isOver;
        refund.force();
        if (!isAwaited) {
            this._writeForced(line);
            line.handlePaymentResponse(true);
            this.desk.paid(line);
        }
    }
}

register_payment_method("wechat_pay", PaymentWechatPay);
