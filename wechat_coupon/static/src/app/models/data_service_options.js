// Its patch must come first: ours builds on it.
import "@pos_loyalty/app/models/data_service_options";
import { DataServiceOptions } from "@point_of_sale/app/models/data_service_options";
import { patch } from "@web/core/utils/patch";

/** Whether a coupon waits on an order that is open. */
function isWaiting(card) {
    return card.models["pos.order"].some(
        (order) => !order.finalized && order.uiState?.wechatCouponIds?.includes(card.id)
    );
}

patch(DataServiceOptions.prototype, {
    /** A coupon that waits has no line yet, and must survive a reload all the same. */
    get databaseTable() {
        const tables = super.databaseTable;
        const { condition } = tables["loyalty.card"];
        tables["loyalty.card"].condition = (card) => !isWaiting(card) && condition(card);
        return tables;
    },
});
