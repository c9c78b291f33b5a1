import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";
import { useBarcodeReader } from "@point_of_sale/app/hooks/barcode_reader_hook";
import { CouponList } from "@wechat_coupon/app/components/coupon_list/coupon_list";
import { productSpellings, routeOf } from "@wechat_coupon/app/utils/code_router";
import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";
import { onWillUnmount } from "@odoo/owl";

const RENEW_CHECK_MS = 10000;

patch(PaymentScreen, { components: { ...PaymentScreen.components, CouponList } });

patch(PaymentScreen.prototype, {
    setup() {
        super.setup(...arguments);
        useBarcodeReader({ wechat_coupon: this._wechatOnScan });
        // However the cashier leaves: the back button of the browser navigates nowhere.
        onWillUnmount(() => {
            clearInterval(this.wechatTimer);
            this.pos.wechatCoupon.leavePayment(this.currentOrder);
        });
    },
    onMounted() {
        super.onMounted(...arguments);
        this.pos.wechatCoupon.resumePayment(this.currentOrder);
        this.wechatTimer = setInterval(
            () => this.pos.wechatCoupon.renewWhenDue(this.currentOrder),
            RENEW_CHECK_MS
        );
    },
    /** Odoo calls every code "unknown" here; customers show coupons here, too. */
    _wechatOnScan(scan) {
        const desk = this.pos.wechatCoupon;
        const product = this._wechatKnowsProduct(scan);
        switch (routeOf(scan, { product })) {
            case "payment":
                desk.onPaymentCode(scan.code);
                return true;
            case "core": // GS1: products, too
            case "product":
                return this._wechatRefuseProduct();
            default:
                desk.activateWhilePaying(scan.code, this.currentOrder);
                return true;
        }
    },
    _wechatRefuseProduct() {
        this.pos.wechatCoupon.notify(
            _t("This is a product. Go back to the order to add it.")
        );
        return true;
    },
    _wechatKnowsProduct({ code, parsed }) {
        const products = this.pos.models["product.product"];
        return productSpellings(code, parsed || {}).some((spelling) =>
            products.getBy("barcode", spelling)
        );
    },
});
