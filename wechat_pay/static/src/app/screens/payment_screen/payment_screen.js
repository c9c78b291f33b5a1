import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";
import { ask } from "@point_of_sale/app/utils/make_awaitable_dialog";
import { isSettled, isWechatPay } from "@wechat_pay/app/services/wechat_pay_desk";
import { isForceable } from "@wechat_pay/app/utils/payment/payment_view";
import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";
import { onMounted, onWillUnmount } from "@odoo/owl";

patch(PaymentScreen.prototype, {
    setup() {
        super.setup(...arguments);
        const desk = this.pos.wechatPay;
        onMounted(() => (desk.screen = this));
        onWillUnmount(() => {
            if (desk.screen === this) {
                desk.screen = null;
            }
        });
    },
    onMounted() {
        const order = this.currentOrder;
        if (order.isRefund && !this.paymentLines.length) {
            this._wechatProposeRefund(order);
        }
        super.onMounted(...arguments);
        this.pos.wechatPay.resume([...this.paymentLines]);
    },
    /** Money goes back the way it came, as far as it came from WeChat. */
    _wechatProposeRefund(order) {
        if (order.remainingDue >= 0 || !order.wechatRefundable()) {
            return;
        }
        const used = order
            .wechatRefundedOrders()
            .flatMap((one) => one.payment_ids.filter(isWechatPay))
            .map((payment) => payment.payment_method_id.id);
        const methods = this.payment_methods_from_config.filter(isWechatPay);
        const method = methods.find(({ id }) => used.includes(id)) || methods[0];
        if (method) {
            this.addNewPaymentLine(method);
        }
    },
    /** What WeChat has refused does not keep the cashier from taking the money another way. */
    async addNewPaymentLine(paymentMethod) {
        for (const line of this.paymentLines.filter((line) => this._wechatIsRefused(line))) {
            await this._wechatDelete(line);
        }
        return super.addNewPaymentLine(...arguments);
    },
    _wechatIsRefused(line) {
        const payment = isWechatPay(line) && this.pos.wechatPay.paymentOf(line.uuid);
        return Boolean(payment?.isOver) && !isSettled(line) && payment.state === "failed";
    },
    /**
     * A payment code was scanned here: charge it.
     *
     * @param {string} code clean
     * @param {"wechat"|"alipay"|"unionpay"} wallet whose code it is
     */
    async wechatTakeCode(code, wallet) {
        const problem = this._wechatProblemOf(wallet);
        if (problem) {
            this.pos.sound.play("error");
            return this.pos.wechatPay.notify(problem);
        }
        const line = this._wechatOpenLine() || (await this._wechatAddLine());
        if (line) {
            this._wechatCharge(line, code);
        }
    },
    _wechatProblemOf(wallet) {
        if (wallet === "alipay") {
            return _t(
                "This is an Alipay code. Ask the customer for the payment code of WeChat."
            );
        }
        if (wallet === "unionpay") {
            return _t(
                "This is a UnionPay code. Ask the customer for the payment code of WeChat."
            );
        }
        if (this.currentOrder.isRefund || this.currentOrder.totalDue < 0) {
            return _t("This order gives money back. A payment code is not needed.");
        }
        return "";
    },
    /** @returns {Object|undefined} the line of WeChat that waits for a code */
    _wechatOpenLine() {
        const lines = this.paymentLines.filter((line) => isWechatPay(line) && !line.isDone());
        return lines.find((line) => line.isSelected()) || lines[0];
    },
    /** The cashier has scanned at once: pay what is due. */
    async _wechatAddLine() {
        const methods = this.payment_methods_from_config.filter(
            (method) => isWechatPay(method) && method.payment_terminal?.takesCodes
        );
        const desk = this.pos.wechatPay;
        if (!methods.length) {
            desk.notify(_t("This is a payment code of WeChat; this shop does not take it."));
        } else if (methods.length > 1) {
            desk.notify(_t("Choose the payment method first, then scan again."));
        } else if (this.currentOrder.remainingDue <= 0) {
            desk.notify(_t("Nothing is left to be paid. Remove another payment first."));
        } else if (await this.addNewPaymentLine(methods[0])) {
            return this.paymentLines.at(-1);
        }
    },
    _wechatCharge(line, code) {
        const desk = this.pos.wechatPay;
        const terminal = line.payment_method_id.payment_terminal;
        const payment = desk.paymentOf(line.uuid);
        if (!terminal.takesCodes) {
            return desk.notify(_t("Here the customer scans your QR code instead."));
        }
        if (!desk.isUnderWay(line) && line.getPaymentStatus() !== "waiting") {
            terminal.wish(line.uuid, { way: "codepay", code });
            return this.sendPaymentRequest(line);
        }
        if (payment?.codeUrl && !payment.cancelling) {
            return terminal.switchTo(line, { way: "codepay", code });
        }
        desk.notify(_t("A payment is under way. Wait for it, or cancel it and scan again."));
    },
    /**
     * Ours do not block the till: while one customer looks for the password, another
     * one's order can be paid.
     */
    async sendPaymentRequest(line) {
        if (!isWechatPay(line)) {
            return super.sendPaymentRequest(...arguments);
        }
        this.numberBuffer.capture();
        this.paymentLines.forEach((one) => (one.can_be_reversed = false));
        if (await line.pay()) {
            this.pos.wechatPay.paid(line);
        }
    },
    /** Validate by itself what is fully paid, if the shop wants that. */
    wechatFinish(order) {
        const { auto_validate_terminal_payment: isAutomatic } = this.pos.config;
        if (isAutomatic && order.isPaid() && !order.isRefundInProcess()) {
            return this.validateOrder(false);
        }
    },
    async sendPaymentCancel(line) {
        if (!isWechatPay(line)) {
            return super.sendPaymentCancel(...arguments);
        }
        const terminal = line.payment_method_id.payment_terminal;
        return terminal.sendPaymentCancel(line.pos_order_id, line.uuid);
    },
    async sendForceDone(line) {
        if (!isWechatPay(line)) {
            return super.sendForceDone(...arguments);
        }
        const { isRefund } = this.pos.wechatPay.paymentOf(line.uuid) || {};
        const confirmed = await ask(this.dialog, this._wechatForceQuestion(isRefund));
        // It may have been decided, or given up, meanwhile.
        const payment = this.pos.wechatPay.paymentOf(line.uuid);
        if (!confirmed || !payment || !isForceable(payment)) {
            return;
        }
        if (isRefund) {
            line.payment_method_id.payment_terminal.forceRefund(line);
        } else {
            payment.force();
        }
    },
    _wechatForceQuestion(isRefund) {
        if (isRefund) {
            return {
                title: _t("Go on without an answer?"),
                body: _t(
                    "Whether the money goes back is not known. The order is finished, and the accountant has to check the refund. Do not give the money back another way."
                ),
                confirmLabel: _t("Go on"),
                cancelLabel: _t("Go on waiting"),
            };
        }
        return {
            title: _t("Has the customer paid?"),
            body: _t(
                "Look at the customer's phone: WeChat has to show a payment to your shop. The order is then finished without WeChat's confirmation, and the accountant has to check the payment."
            ),
            confirmLabel: _t("I have seen the payment"),
            cancelLabel: _t("Go on waiting"),
        };
    },
    deletePaymentLine(uuid) {
        const line = this.paymentLines.find((one) => one.uuid === uuid);
        if (!isWechatPay(line)) {
            return super.deletePaymentLine(...arguments);
        }
        return this._wechatDelete(line);
    },
    /** Nothing is dropped that the customer may still pay. */
    async _wechatDelete(line) {
        const desk = this.pos.wechatPay;
        if (isSettled(line) || !(await this._wechatLetGo(line))) {
            return;
        }
        if (this.paymentLines.some(({ uuid }) => uuid === line.uuid) && !desk.isUnderWay(line)) {
            this.currentOrder.removePaymentline(line);
            this.numberBuffer.reset();
        }
    },
    /** @returns {Promise<boolean>} whether no money moves by the line any more */
    async _wechatLetGo(line) {
        const desk = this.pos.wechatPay;
        const payment = desk.paymentOf(line.uuid);
        if (desk.isUnderWay(line) && payment.isRefund) {
            this.pos.wechatTellUnderWay();
            return false;
        }
        if (!desk.isUnderWay(line) || payment.state !== "abnormal") {
            return desk.letGo([line]);
        }
        const confirmed = await ask(this.dialog, {
            title: _t("Remove the payment?"),
            body: _t(
                "WeChat has taken an amount that does not fit. The line goes away here; the manager finds the payment on the worklist."
            ),
        });
        if (confirmed) {
            line.payment_method_id.payment_terminal.drop(line);
        }
        return confirmed;
    },
});
