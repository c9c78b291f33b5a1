/**
 * What the till itself has under a code, without asking anybody.
 */
import { productSpellings } from "@wechat_coupon/app/utils/code_router";

/**
 * @param {Object} models of the till
 * @param {{code: string, parsed: Object|Object[]|null}} scan
 * @returns {{product: Object, barcode: string}|null}
 */
export function findProduct(models, { code, parsed }) {
    for (const spelling of productSpellings(code, parsed || {})) {
        const product =
            models["product.product"].getBy("barcode", spelling) ||
            models["product.uom"].getBy("barcode", spelling)?.product_id;
        if (product) {
            return { product, barcode: spelling };
        }
    }
    return null;
}

/** @returns {boolean} whether a code is the card of a customer or an employee's badge */
export function isPerson(models, { code, parsed }) {
    const codes = [...new Set([code, parsed?.code].filter(Boolean))];
    return codes.some(
        (one) => Boolean(models["res.partner"].getBy("barcode", one)) || isBadge(models, one)
    );
}

/** The till has badges of pos_hr as hashes only. */
function isBadge(models, code) {
    const hash = models["hr.employee"] && globalThis.Sha1?.hash(code);
    return Boolean(hash) && models["hr.employee"].some(({ _barcode }) => _barcode === hash);
}
