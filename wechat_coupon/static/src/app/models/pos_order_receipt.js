// Its patch must come first: ours builds on it.
import "@wechat_coupon/app/models/pos_order";
import { PosOrder } from "@point_of_sale/app/models/pos_order";
import { generateQRCodeDataUrl } from "@point_of_sale/utils";
import { patch } from "@web/core/utils/patch";

patch(PosOrder.prototype, {
    /**
     * New coupons that this order has brought, for the receipt. The picture is made
     * here: a request for it would leave the code in the server's log.
     *
     * The end of a code, which other cashiers see, is none to scan.
     *
     * @returns {{name: string, code: string, gives: string, valid: string, qr: string | false}[]}
     */
    wechatNewCoupons() {
        return (this.wechat_new_coupons || []).map((coupon) => ({
            ...coupon,
            qr:
                !coupon.is_masked &&
                generateQRCodeDataUrl(coupon.code, { width: 180, height: 180 }),
        }));
    },
});
