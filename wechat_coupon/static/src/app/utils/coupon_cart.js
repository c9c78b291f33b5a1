/**
 * The cart as the server wants to see it: amounts in whole fen.
 */

/**
 * The one place where the till turns an amount into fen.
 *
 * @param {number} amount in yuan
 * @returns {number} an integer
 */
export function toFen(amount) {
    const [, sign, yuan, fen] = /^(-?)(\d+)\.(\d\d)$/.exec(amount.toFixed(2));
    const total = parseInt(yuan + fen, 10);
    return sign && total ? -total : total;
}

/**
 * @param {import("@point_of_sale/app/models/pos_order").PosOrder} order
 * @returns {{lines: Object[], total_fen: number}}
 */
export function cartOf(order) {
    return {
        lines: order.lines.map((line) => ({
            uuid: line.uuid,
            product_id: line.product_id.id,
            qty: line.getQuantity(),
            price_total_fen: toFen(line.prices.total_included),
            is_reward_line: Boolean(line.is_reward_line),
        })),
        total_fen: toFen(order.priceIncl),
    };
}
