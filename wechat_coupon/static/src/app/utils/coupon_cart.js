/**
 * The cart as the server wants to see it: amounts in whole fen.
 */
import { toFen } from "@wechat_pay/app/utils/fen";

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
