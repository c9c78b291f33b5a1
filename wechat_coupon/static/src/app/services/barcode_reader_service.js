import { BarcodeReader } from "@point_of_sale/app/services/barcode_reader_service";
import { GS1BarcodeError } from "@barcodes_gs1_nomenclature/js/barcode_parser";
import { cleanCode } from "@wechat_coupon/app/utils/code_router";
import { patch } from "@web/core/utils/patch";

/**
 * A screen may register a callback `wechat_coupon`: it sees each code as it was
 * scanned, before the nomenclature rewrites it, and returns true to keep it.
 */
patch(BarcodeReader.prototype, {
    async _scan(code) {
        const callbacks = [...this.cbMaps].map((map) => map.wechat_coupon).filter(Boolean);
        if (!code || this.exclusiveCbMap || !callbacks.length) {
            return super._scan(...arguments);
        }
        const scan = { raw: code, code: cleanCode(code), parsed: this._wechatParse(code) };
        for (const callback of callbacks) {
            if (await callback(scan)) {
                return;
            }
        }
        return this._wechatScanParsed(scan, () => super._scan(...arguments));
    },
    /** Odoo parses first of all, so it gets what has been parsed already. */
    _wechatScanParsed({ raw, parsed }, scan) {
        const { parser } = this;
        if (parsed) {
            const parse_barcode = (code) =>
                code === raw ? parsed : parser.parse_barcode(code);
            this.parser = Object.create(parser, { parse_barcode: { value: parse_barcode } });
        }
        try {
            return scan();
        } finally {
            this.parser = parser;
        }
    },
    /** Do with a code what Odoo would have done, after it turned out not to be ours. */
    wechatScanAsOdoo(code) {
        return this.mutex.exec(() => super._scan(code));
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
