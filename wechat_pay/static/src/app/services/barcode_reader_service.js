import { BarcodeReader } from "@point_of_sale/app/services/barcode_reader_service";
import { GS1BarcodeError } from "@barcodes_gs1_nomenclature/js/barcode_parser";
import { cleanCode, isPaymentCode } from "@wechat_pay/app/utils/payment_code";
import { patch } from "@web/core/utils/patch";

/**
 * A screen may register a callback `wechat`: it sees each code as it was scanned,
 * before the nomenclature rewrites it, and returns true to keep it.
 *
 * The callback `wechat_payment` does the same for payment codes, before all others:
 * Odoo would search for them and show them. Who has the reader exclusively has it.
 */
patch(BarcodeReader.prototype, {
    setup() {
        super.setup(...arguments);
        // Whether the scan under way has been found to be none of ours.
        this.wechatIsOdoos = false;
    },
    async _scan(code) {
        if (!code || this.wechatIsOdoos || this.exclusiveCbMap) {
            return super._scan(...arguments);
        }
        const clean = cleanCode(code);
        const types = ["wechat_payment", "wechat"].filter(
            (type) => (type === "wechat" || isPaymentCode(clean)) && this.wechatHandles(type)
        );
        const scan = types.length && { raw: code, code: clean, parsed: this._wechatParse(code) };
        for (const type of types) {
            if (await this._wechatOffer(type, scan)) {
                return;
            }
        }
        return super._scan(...arguments);
    },
    /** @returns {Promise<boolean>} whether somebody keeps it */
    async _wechatOffer(type, scan) {
        for (const map of [...this.cbMaps]) {
            if (await map[type]?.(scan)) {
                return true;
            }
        }
        return false;
    },
    /** Do with a code what Odoo would have done, after it turned out not to be ours. */
    wechatScanAsOdoo(code) {
        return this.mutex.exec(async () => {
            this.wechatIsOdoos = true;
            try {
                return await this._scan(code);
            } finally {
                this.wechatIsOdoos = false;
            }
        });
    },
    /** Whether a screen or an add-on would do something with a code of this type. */
    wechatHandles(type) {
        return [...this.cbMaps].some((map) => map[type]);
    },
    /** @returns {Object|Object[]|null} null when the nomenclature refuses the code */
    _wechatParse(code) {
        try {
            return this.parser.parse_barcode(code);
        } catch (error) {
            if (!(error instanceof GS1BarcodeError)) {
                throw error;
            }
            return this.fallbackParser?.parse_barcode(code) || null;
        }
    },
});
