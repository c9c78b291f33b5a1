/**
 * Codes on a customer's phone that charge their owner, told from their shape alone.
 *
 * They are bearer tokens: who has one can charge it. So they are kept nowhere.
 */

const SHAPES = {
    wechat: /^1[0-5]\d{16}$/,
    alipay: /^(?:2[5-9]|30)\d{14,22}$/,
    unionpay: /^62\d{17}$/,
};

// What any digits may be taken for: by the rule that takes everything for a product,
// and by the rules of the warehouse, e.g. all that begins with 10 for a lot.
const VAGUE_TYPES = ["error", "product", "lot", "location", "package"];

/**
 * Remove what a scanner or an input method adds to a code.
 *
 * Full-width digits become plain ones; invisible characters go away, except the GS1
 * separator (0x1D), which means something to the nomenclature.
 *
 * @param {string} code
 * @returns {string}
 */
export function cleanCode(code) {
    return String(code ?? "")
        .normalize("NFKC")
        .replace(/[\u0000-\u001c\u001e\u001f\u007f\u200b-\u200f\ufeff]/g, "")
        .trim();
}

/**
 * @param {string} code clean
 * @returns {"wechat"|"alipay"|"unionpay"|null} whose payment code it may be
 */
export function paymentCodeOf(code) {
    return Object.keys(SHAPES).find((wallet) => SHAPES[wallet].test(code)) || null;
}

/**
 * Whether the nomenclature has a rule for a code that means something at a till.
 *
 * @param {Object|Object[]|null} parsed null when the nomenclature refuses the code
 * @returns {boolean}
 */
export function nomenclatureKnows(parsed) {
    if (Array.isArray(parsed)) {
        return parsed.some(({ type }) => type === "product");
    }
    return Boolean(parsed) && !VAGUE_TYPES.includes(parsed.type);
}

/** @returns {boolean} whether the code may be a code that charges its owner */
export function isPaymentCode(code) {
    return paymentCodeOf(code) !== null;
}
