// Its patch must come first: ours builds on it.
import "@pos_loyalty/app/screens/ticket_screen/ticket_screen";
import { TicketScreen } from "@point_of_sale/app/screens/ticket_screen/ticket_screen";
import { patch } from "@web/core/utils/patch";

patch(TicketScreen.prototype, {
    /** What coupons took off goes along with the goods; the cashier sees it as a line. */
    postRefund(destinationOrder) {
        destinationOrder.wechatSettleRefund();
        return super.postRefund(...arguments);
    },
});
