import OrderPaymentValidation from "@point_of_sale/app/utils/order_payment_validation";
import { isWechatPay } from "@wechat_pay/app/services/wechat_pay_desk";
import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";

/** Odoo takes such a line for done: it has no status yet. */
function isUnsentRefund(line) {
    return isWechatPay(line) && line.amount < 0 && !line.getPaymentStatus();
}

patch(OrderPaymentValidation.prototype, {
    /** Odoo would drop a line that is not done, while the customer may be paying it. */
    async validateOrder() {
        if (this.order.payment_ids.some(isUnsentRefund)) {
            this.pos.wechatPay.notify(_t("Press Refund first: no money has gone back yet."));
            return false;
        }
        const open = this.order.payment_ids.filter((line) => isWechatPay(line) && !line.isDone());
        if (open.length && !(await this.pos.wechatMayDrop(open))) {
            return false;
        }
        return super.validateOrder(...arguments);
    },
});
