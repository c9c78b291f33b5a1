// Its patch must come first: ours builds on it.
import "@pos_loyalty/app/screens/ticket_screen/ticket_screen";
import { TicketScreen } from "@point_of_sale/app/screens/ticket_screen/ticket_screen";
import { patch } from "@web/core/utils/patch";

patch(TicketScreen.prototype, {
    /**
     * What a coupon took off comes along with the goods, in proportion: otherwise more
     * would be paid out than was paid in. The cashier sees it as a line of the refund.
     */
    _getRefundableDetails(partner, order) {
        const details = super._getRefundableDetails(...arguments);
        const chosen = new Map(details.map((detail) => [detail.line.uuid, detail.qty]));
        for (const line of order.wechatDiscountLines()) {
            const qty = line.wechatRefundShare(chosen);
            if (qty && !chosen.has(line.uuid)) {
                const detail = this.getToRefundDetail(line);
                detail.qty = qty;
                details.push(detail);
            }
        }
        return details;
    },
});
