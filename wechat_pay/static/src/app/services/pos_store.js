import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { PosStore } from "@point_of_sale/app/services/pos_store";
import { WechatPayDesk } from "@wechat_pay/app/services/wechat_pay_desk";
import { _t } from "@web/core/l10n/translation";
import { markRaw } from "@odoo/owl";
import { patch } from "@web/core/utils/patch";

patch(PosStore.prototype, {
    async setup() {
        const desk = markRaw(new WechatPayDesk(this));
        this.wechatPay = desk;
        await super.setup(...arguments);
        this.barcodeReader?.register({ wechat_payment: (code) => desk.onPaymentCode(code) });
        this.data.connectWebSocket("WECHAT_PAY_CHANGED", (notice) => desk.onChange(notice));
        desk.resumeAll();
    },
    /** An order that a customer is paying for does not disappear. */
    async _onBeforeDeleteOrder(order) {
        if (this.wechatPay.lineUnderWay(order)) {
            this.wechatTellUnderWay();
            return false;
        }
        return super._onBeforeDeleteOrder(...arguments);
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
