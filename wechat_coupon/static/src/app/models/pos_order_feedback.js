// Its patch must come first: ours builds on it.
import "@wechat_coupon/app/models/pos_order";
import { PosOrder } from "@point_of_sale/app/models/pos_order";
import { generateQRCodeDataUrl } from "@point_of_sale/utils";
import { patch } from "@web/core/utils/patch";

patch(PosOrder.prototype, {
    /** @returns {string|false} picture of the page that asks how the coupon was */
    wechatFeedbackQr() {
        const url = this.wechat_feedback_url;
        return url ? generateQRCodeDataUrl(url, { width: 150, height: 150 }) : false;
    },
});
