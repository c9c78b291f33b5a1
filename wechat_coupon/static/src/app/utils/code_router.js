/**
 * What a scanned or typed code may be, told from its shape alone.
 *
 * Nothing here talks to the server or knows an order, so that the order of the
 * questions can be read and tested in one place. @see routeOf
 */
import { cleanCode } from "@wechat_pay/app/utils/payment_code";

// By the type that the nomenclature sees; Odoo would act on any other type unasked.
const ROUTES = {
    client: "record_first",
    coupon: "coupon",
    product: "ask",
    quantity: "ask",
    weight: "ask",
    price: "ask",
    error: "ask",
};
const MASK_TAIL = 4;

/**
 * As `cleanCode`, for a code that a person typed: phones show the twelve digits in
 * groups, and people copy the gaps.
 *
 * @param {string} code
 * @returns {string}
 */
export function cleanTypedCode(code) {
    const clean = cleanCode(code).replace(/\s+/g, "");
    return /^[\d-]+$/.test(clean) ? clean.replaceAll("-", "") : clean;
}

/** @returns {boolean} whether a WeChat coupon and a UPC-A product may share the code */
export function isTwelveDigits(code) {
    return /^\d{12}$/.test(code);
}

/**
 * The ways in which a product's barcode may have been stored.
 *
 * The nomenclature may have put a zero before a UPC-A code, or the product may have
 * been entered with it.
 *
 * @param {string} code as it was scanned
 * @param {{base_code?: string, code?: string}} [parsed] as the nomenclature reads it
 * @returns {string[]} the likeliest first
 */
export function productSpellings(code, parsed = {}) {
    const spellings = [parsed.base_code, parsed.code, code];
    if (isTwelveDigits(code)) {
        spellings.push(`0${code}`);
    } else if (/^0\d{12}$/.test(code)) {
        spellings.push(code.slice(1));
    }
    return [...new Set(spellings.filter(Boolean))];
}

/** @returns {string} the end of the code, enough to tell two coupons apart */
export function maskCode(code) {
    const text = String(code ?? "");
    return text.length > MASK_TAIL ? `****${text.slice(-MASK_TAIL)}` : "****";
}

/**
 * Who has to be asked what this code is. Payment codes do not come here where the till
 * takes them.
 *
 * - `product`: a product that the till has; it wins without waiting
 * - `core`: Odoo knows what to do
 * - `coupon`: Odoo takes it for a coupon; ours are looked up before its own
 * - `coupon_first`: Odoo would act on it unasked (discount, badge); look it up first
 * - `record_first`: Odoo takes it for a customer; look for a coupon if there is none
 * - `ask`: the server is asked for a product and for a coupon
 *
 * @param {Object} scan
 * @param {string} scan.code
 * @param {Object|Object[]|null} scan.parsed null when the nomenclature refuses it
 * @param {Object} known
 * @param {boolean} known.product whether the till has a product with this code
 * @param {boolean} known.person whether the till has a customer or an employee with
 *     this code; such a code is shown to nobody else
 * @returns {string}
 */
export function routeOf({ parsed }, { product = false, person = false } = {}) {
    if (Array.isArray(parsed)) {
        return "core";
    }
    const type = parsed?.type || "error";
    if (product && type !== "client") {
        return "product";
    }
    if (person) {
        return "core";
    }
    return ROUTES[type] || "coupon_first";
}
