import { BarcodeReader } from "@point_of_sale/app/services/barcode_reader_service";
import { GS1BarcodeError } from "@barcodes_gs1_nomenclature/js/barcode_parser";
import { cleanCode } from "@wechat_coupon/app/utils/code_router";
import { patch } from "@web/core/utils/patch";

/**
 * A screen may register a callback `wechat_coupon`: it sees each code as it was
 * scanned, before the nomenclature rewrites it, and returns true to keep it.
 */
patch(BarcodeReader.prototype, {
    setup() {
        super.setup(...arguments);
        // Whether the scan under way has been found to be none of ours.
        this.wechatIsOdoos = false;
    },
    async _scan(code) {
        const callbacks = [...this.cbMaps].map((map) => map.wechat_coupon).filter(Boolean);
        if (!code || this.wechatIsOdoos || this.exclusiveCbMap || !callbacks.length) {
            return super._scan(...arguments);
        }
        const scan = { raw: code, code: cleanCode(code), parsed: this._wechatParse(code) };
        for (const callback of callbacks) {
            if (await callback(scan)) {
                return;
            }
        }
        return super._scan(...arguments);
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
