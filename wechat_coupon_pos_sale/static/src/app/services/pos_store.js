import {AlertDialog} from "@web/core/confirmation_dialog/confirmation_dialog";
import {PosStore} from "@point_of_sale/app/services/pos_store";
import {_t} from "@web/core/l10n/translation";
import {patch} from "@web/core/utils/patch";

patch(PosStore.prototype, {
    /**
     * Extended: the coupons of a quotation are held before the customer pays.
     */
    async onClickSaleOrder(clickedOrderId) {
        const {message} = await this.data.call("sale.order", "wechat_hold_at_till", [
            [clickedOrderId],
        ]);
        if (message) {
            this.dialog.add(AlertDialog, {
                title: _t("The coupon of this quotation cannot be used"),
                body: message,
            });
            return;
        }
        return super.onClickSaleOrder(...arguments);
    },
});
