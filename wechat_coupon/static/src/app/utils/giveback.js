/**
 * How much of a discount goes back with goods, in integer fen.
 *
 * The same arithmetic as in `tools/giveback.py`: what has gone back is a function of
 * the goods that came back, not of the refunds in which they came.
 */

// Quantities are counted in thousandths: floats do not compare.
const MILLI = 1000;

const milli = (qty) => Math.round(qty * MILLI);
const bought = ({ qty }) => Math.max(milli(qty), 1);
const returned = (goods) => Math.min(Math.max(milli(goods.back), 0), bought(goods));

/** Exact also where the product is larger than what a number can hold. */
function share(fen, part, whole) {
    const product = BigInt(fen) * BigInt(part);
    return { quotient: Number(product / BigInt(whole)), rest: Number(product % BigInt(whole)) };
}

/**
 * Split fen in proportion to weights; the remainder goes to the largest fractions.
 *
 * @param {number} total fen, not negative
 * @param {number[]} weights
 * @returns {number[]}
 */
export function splitFen(total, weights) {
    const whole = weights.reduce((sum, weight) => sum + weight, 0);
    if (whole <= 0) {
        return weights.map((_weight, index) => (index ? 0 : total));
    }
    const shares = weights.map((weight) => share(total, weight, whole));
    const parts = shares.map(({ quotient }) => quotient);
    const left = total - parts.reduce((sum, part) => sum + part, 0);
    const order = [...weights.keys()].sort((a, b) => shares[b].rest - shares[a].rest || a - b);
    for (const index of order.slice(0, left)) {
        parts[index] += 1;
    }
    return parts;
}

/**
 * @typedef {{key: string, fen: number, qty: number, back: number}} Goods a line of
 *     goods: its amount before coupons, and how much of it came back until now
 */

/**
 * @typedef {{fen: number, goods: string[]}} Discount what a coupon took off which goods
 */

/**
 * @param {Discount} discount
 * @param {Goods[]} goods of the order
 * @returns {number} how much of the discount has gone back with them; rounded up, so
 *     that nobody gets more than was paid
 */
export function discountBack(discount, goods) {
    const mine = goods.filter(({ key }) => discount.goods.includes(key));
    const weights = mine.map(({ fen }) => Math.max(fen, 0));
    const parts = mine.length ? splitFen(discount.fen, weights) : [];
    return mine.reduce((sum, one, index) => {
        const { quotient, rest } = share(parts[index], returned(one), bought(one));
        return sum + quotient + (rest ? 1 : 0);
    }, 0);
}

/** @returns {number} how many fen may have been paid out for the goods that came back */
export function payable(goods, discounts) {
    const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
    const price = sum(
        goods.map((one) => share(one.fen, returned(one), bought(one)).quotient)
    );
    const paid = sum(goods.map(({ fen }) => fen)) - sum(discounts.map(({ fen }) => fen));
    const due = price - sum(discounts.map((discount) => discountBack(discount, goods)));
    // Two coupons may have made a line of few fen worth less than nothing.
    return Math.min(due, paid);
}

/** @returns {boolean} whether nothing of the goods is left with the customer */
export function isAllBack(goods) {
    return goods.every((one) => returned(one) >= bought(one));
}
