import * as PaymentScreen from "@point_of_sale/../tests/pos/tours/utils/payment_screen_util";
import * as ProductScreen from "@point_of_sale/../tests/pos/tours/utils/product_screen_util";
import * as ReceiptScreen from "@point_of_sale/../tests/pos/tours/utils/receipt_screen_util";
import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";
import * as Dialog from "@point_of_sale/../tests/generic_helpers/dialog_util";
import * as PosSale from "@pos_sale/../tests/tours/utils/pos_sale_utils";
import {registry} from "@web/core/registry";

registry.category("web_tour.tours").add("WechatCouponSettle", {
    steps: () =>
        [
            Chrome.startPoS(),
            Dialog.confirm("Open Register"),
            // The coupon of this one is no good any more: said before it is paid.
            PosSale.selectNthOrder(1),
            {
                content: "the cashier is told why, and what to do",
                trigger: ".modal:contains('made invalid'):contains('taken off')",
            },
            Dialog.confirm(),
            ProductScreen.orderIsEmpty(),
            PosSale.settleNthOrder(2),
            ProductScreen.totalAmountIs("100.0"),
            ProductScreen.clickPayButton(),
            PaymentScreen.clickPaymentMethod("Bank"),
            PaymentScreen.clickValidate(),
            ReceiptScreen.isShown(),
        ].flat(),
});
