import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { PosStore } from "@point_of_sale/app/services/pos_store";
import { isSettled, isWechatPay, WechatPayDesk } from "@wechat_pay/app/services/wechat_pay_desk";
import { _t } from "@web/core/l10n/translation";
import { markRaw } from "@odoo/owl";
import { patch } from "@web/core/utils/patch";

patch(PosStore.prototype, {
    async setup() {
        const desk = markRaw(new WechatPayDesk(this));
        this.wechatPay = desk;
        await super.setup(...arguments);
        this.barcodeReader?.register({
            wechat_payment: ({ code, parsed }) => desk.onPaymentCode(code, parsed),
        });
        this.data.connectWebSocket("WECHAT_PAY_CHANGED", (notice) => desk.onChange(notice));
        desk.resumeAll();
    },
    /** An order that a customer is paying for, or has paid, does not disappear. */
    async _onBeforeDeleteOrder(order) {
        if (!order.finalized && !(await this._wechatMayDelete(order))) {
            return false;
        }
        return super._onBeforeDeleteOrder(...arguments);
    },
    async _wechatMayDelete(order) {
        const lines = order.payment_ids.filter(isWechatPay);
        if (lines.some(isSettled)) {
            this.dialog.add(AlertDialog, {
                title: _t("WeChat Pay"),
                body: _t(
                    "Money of this order has moved with WeChat. Finish the order; what the customer does not want can then be refunded."
                ),
            });
            return false;
        }
        return this.wechatMayDrop(lines);
    },
    /** @returns {Promise<boolean>} whether no money moves by the lines, see `letGo` */
    async wechatMayDrop(lines) {
        if (!lines.some((line) => this.wechatPay.isUnderWay(line))) {
            if (await this.wechatPay.letGo(lines)) {
                return true;
            }
        }
        if (lines.some((line) => this.wechatPay.isUnderWay(line))) {
            this.wechatTellUnderWay();
        }
        return false;
    },
    wechatTellUnderWay() {
        this.dialog.add(AlertDialog, {
            title: _t("WeChat Pay"),
            body: _t(
                "A WeChat payment of this order is under way. Wait for it, or cancel it on the payment screen."
            ),
        });
    },
});
