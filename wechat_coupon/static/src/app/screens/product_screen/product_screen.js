// Its patch must come first: ours builds on it.
import "@pos_loyalty/app/screens/product_screen/product_screen";
import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { ProductScreen } from "@point_of_sale/app/screens/product_screen/product_screen";
import { SelectionPopup } from "@point_of_sale/app/components/popups/selection_popup/selection_popup";
import { useBarcodeReader } from "@point_of_sale/app/hooks/barcode_reader_hook";
import { makeAwaitable } from "@point_of_sale/app/utils/make_awaitable_dialog";
import {
    isTwelveDigits,
    productSpellings,
    routeOf,
} from "@wechat_coupon/app/utils/code_router";
import { findProduct, isPerson } from "@wechat_coupon/app/utils/till_records";
import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";

patch(ProductScreen.prototype, {
    setup() {
        super.setup(...arguments);
        useBarcodeReader({ wechat: this._wechatOnScan });
    },
    /**
     * Decide who gets a code. What needs the server runs on its own, so that the next
     * customer's products never wait for a coupon.
     *
     * @param {{raw: string, code: string, parsed: Object|Object[]|null}} scan
     * @returns {boolean|Promise<boolean>} whether Odoo has nothing more to do
     */
    _wechatOnScan(scan) {
        const { models } = this.pos;
        const product = findProduct(models, scan);
        const person = isPerson(models, scan);
        switch (routeOf(scan, { product: Boolean(product), person })) {
            case "core":
                return false;
            case "product":
                return this._wechatScanProduct(scan, product);
            case "coupon":
                this._wechatScanOdooCoupon(scan);
                return true;
            case "record_first":
                this._wechatScanPartner(scan);
                return true;
            case "coupon_first":
                this._wechatScanCoupon(scan);
                return true;
            default:
                this._wechatScanUnknown(scan);
                return true;
        }
    },
    /** A product that the till has: it is sold at once, in the order of the scans. */
    async _wechatScanProduct(scan, known) {
        await this._wechatSell(scan, known);
        if (isTwelveDigits(scan.code)) {
            this._wechatAskIfAlsoCoupon(scan, known.product);
        }
        return true;
    },
    async _wechatSell({ code, parsed }, { barcode }) {
        const isPlain = !["product", "quantity", "weight", "price"].includes(parsed?.type);
        const read = isPlain ? { code, type: "product", value: 0, encoding: "any" } : parsed;
        await this._barcodeProductAction({ ...read, base_code: barcode });
    },
    _wechatSellInTurn(scan, known) {
        return this.barcodeReader.mutex.exec(() => this._wechatSell(scan, known));
    },
    async _wechatAskIfAlsoCoupon(scan, product) {
        const desk = this.pos.wechatCoupon;
        const order = this.currentOrder;
        if (!(await desk.isCouponCode(scan.code)) || !this.pos.wechatIsOpen(order)) {
            return;
        }
        if ((await this._wechatAskWhich(scan, product)) === "coupon") {
            this._wechatTakeBack(product, order);
            await this._wechatRedeem(scan);
        }
    },
    _wechatAskWhich({ code }, product) {
        return makeAwaitable(this.dialog, SelectionPopup, {
            title: _t("What is %(code)s?", { code }),
            list: [
                { id: 1, label: product.display_name, item: "product" },
                { id: 2, label: _t("The customer's WeChat coupon"), item: "coupon" },
            ],
        });
    },
    /** One piece of a product that was not meant goes away again. */
    _wechatTakeBack(product, order) {
        const line = order.lines.findLast(
            (item) => item.product_id.id === product.id && !item.is_reward_line
        );
        if (line?.getQuantity() > 1) {
            line.setQuantity(line.getQuantity() - 1);
        } else if (line) {
            order.removeOrderline(line);
        }
    },
    /** Neither the till nor the nomenclature knows: a product, a coupon, or nothing. */
    async _wechatScanUnknown(scan) {
        const desk = this.pos.wechatCoupon;
        const order = this.currentOrder;
        const loaded = this._wechatLoadProduct(scan);
        const looked = isTwelveDigits(scan.code)
            ? desk.lookup(scan.code, order)
            : loaded.then(({ product }) => (product ? null : desk.lookup(scan.code, order)));
        const [{ product, problem }, result] = await Promise.all([loaded, looked]);
        const isCoupon = ["found", "refused"].includes(result?.status);
        if (this.pos.wechatIsPaying(order)) {
            return desk.notify(
                _t("Payment was opened meanwhile. Scan %(code)s again.", { code: scan.code })
            );
        }
        if (!this.pos.wechatIsOpen(order)) {
            return desk.notify(
                _t("Another order was opened. Scan %(code)s again on its order.", {
                    code: scan.code,
                })
            );
        }
        if (product) {
            const isProduct =
                !isCoupon || (await this._wechatAskWhich(scan, product.product)) !== "coupon";
            if (isProduct) {
                return this._wechatSellInTurn(scan, product);
            }
        }
        if (isCoupon) {
            return this._wechatRedeem(scan);
        }
        this._wechatRefuse(problem || this._wechatUnknownSentence(scan, result));
    },
    /**
     * @returns {Promise<{product: Object|null, problem: string}>} like `findProduct`
     */
    async _wechatLoadProduct(scan) {
        const desk = this.pos.wechatCoupon;
        try {
            const spellings = productSpellings(scan.code, scan.parsed || {});
            await desk.server.inTime(
                this.pos.loadNewProducts([["product_variant_ids.barcode", "in", spellings]])
            );
            return { product: findProduct(this.pos.models, scan), problem: "" };
        } catch (error) {
            const problem = desk.server.sentenceAbout(scan.code, error);
            return { product: null, problem };
        }
    },
    async _wechatScanPartner(scan) {
        const desk = this.pos.wechatCoupon;
        const order = this.currentOrder;
        try {
            if (await desk.server.inTime(this._getPartnerByBarcode(scan))) {
                return await this.barcodeReader.wechatScanAsOdoo(scan.raw);
            }
        } catch (error) {
            return this._wechatRefuse(desk.server.sentenceAbout(scan.code, error));
        }
        const result = await desk.lookup(scan.code, order);
        if (["found", "refused"].includes(result.status)) {
            return this._wechatRedeem(scan);
        }
        this._wechatRefuse(this._wechatUnknownSentence(scan, result));
    },
    /** Odoo would give a discount or change the cashier without asking anybody. */
    async _wechatScanCoupon(scan) {
        const result = await this.pos.wechatCoupon.lookup(scan.code, this.currentOrder);
        if (["found", "refused"].includes(result.status)) {
            return this._wechatRedeem(scan);
        }
        await this.barcodeReader.wechatScanAsOdoo(scan.raw);
    },
    async _wechatScanOdooCoupon({ code }) {
        const desk = this.pos.wechatCoupon;
        try {
            const result = await this.pos.activateCode(code);
            if (result !== true) {
                this._wechatRefuse(result);
            }
        } catch (error) {
            this._wechatRefuse(desk.server.sentenceAbout(code, error));
        }
    },
    async _wechatRedeem({ code }) {
        const result = await this.pos.wechatCoupon.activate(code, this.currentOrder);
        if (result.status === "refused") {
            return this._wechatRefuseCoupon(result.message);
        }
        if (result.message) {
            return this.pos.wechatCoupon.notify(result.message);
        }
        this.sound.play("beep");
        if (this.ui.isSmall) {
            // The cart is on the other pane.
            this.pos.wechatCoupon.notify(_t("The coupon was applied."), "success");
        }
    },
    _wechatRefuse(message) {
        this.sound.play("error");
        this.pos.wechatCoupon.notify(message, "danger");
    },
    _wechatRefuseCoupon(message) {
        this.sound.play("error");
        this.dialog.add(AlertDialog, { title: _t("This coupon cannot be used"), body: message });
    },
    _wechatUnknownSentence({ code }, result) {
        return result?.status === "unreachable"
            ? result.message
            : _t("There is no product and no coupon with the code %(code)s.", { code });
    },
});
