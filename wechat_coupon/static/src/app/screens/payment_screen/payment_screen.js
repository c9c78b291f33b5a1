import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";
import { useBarcodeReader } from "@point_of_sale/app/hooks/barcode_reader_hook";
import { CouponList } from "@wechat_coupon/app/components/coupon_list/coupon_list";
import { routeOf } from "@wechat_coupon/app/utils/code_router";
import { findProduct, isPerson } from "@wechat_coupon/app/utils/till_records";
import { _t } from "@web/core/l10n/translation";
import { useService } from "@web/core/utils/hooks";
import { patch } from "@web/core/utils/patch";
import { onWillUnmount } from "@odoo/owl";

const RENEW_CHECK_MS = 10000;

patch(PaymentScreen, { components: { ...PaymentScreen.components, CouponList } });

patch(PaymentScreen.prototype, {
    setup() {
        super.setup(...arguments);
        this.wechatBarcodeReader = useService("barcode_reader");
        useBarcodeReader({ wechat: this._wechatOnScan });
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
    /**
     * Odoo calls every code "unknown" here; customers show coupons here, too. Cards and
     * badges stay Odoo's, and so does what another add-on has a use for here.
     */
    _wechatOnScan(scan) {
        const { models } = this.pos;
        const product = Boolean(findProduct(models, scan));
        const isGs1 = Array.isArray(scan.parsed);
        switch (routeOf(scan, { product, person: isPerson(models, scan) })) {
            case "core":
                return isGs1 && this._wechatRefuseProduct("gs1");
            case "product":
                return this._wechatRefuseProduct(scan.parsed?.type);
            case "record_first":
                this._wechatScanPartner(scan, this.currentOrder);
                return true;
            default:
                this._wechatScanCoupon(scan, this.currentOrder);
                return true;
        }
    },
    _wechatRefuseProduct(type) {
        if (this.wechatBarcodeReader.wechatHandles(type)) {
            return false;
        }
        this.pos.wechatCoupon.notify(
            _t("This is a product. Go back to the order to add it.")
        );
        return true;
    },
    /** Odoo takes it for a customer, whom the till need not know. */
    async _wechatScanPartner(scan, order) {
        const { server } = this.pos.wechatCoupon;
        try {
            const domain = [["barcode", "=", scan.code]];
            const partners = await server.inTime(
                this.pos.data.searchRead("res.partner", domain)
            );
            if (partners.length) {
                return await this.wechatBarcodeReader.wechatScanAsOdoo(scan.raw);
            }
        } catch (error) {
            return server.notify(server.sentenceAbout(scan.code, error), "danger");
        }
        return this._wechatScanCoupon(scan, order);
    },
    async _wechatScanCoupon({ raw, code, parsed }, order) {
        const desk = this.pos.wechatCoupon;
        if (this.wechatBarcodeReader.wechatHandles(parsed?.type)) {
            const { status } = await desk.lookup(code, order);
            if (!["found", "refused"].includes(status)) {
                return this.wechatBarcodeReader.wechatScanAsOdoo(raw);
            }
        }
        return desk.activateWhilePaying(code, order);
    },
});
