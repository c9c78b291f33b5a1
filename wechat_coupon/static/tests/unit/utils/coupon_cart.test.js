import { describe, expect, test } from "@odoo/hoot";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { cartOf } from "@wechat_coupon/app/utils/coupon_cart";
import { toFen } from "@wechat_pay/app/utils/fen";
import { openOrder } from "../utils";

definePosModels();

describe("fen", () => {
    test("every amount of two decimals is exact", () => {
        for (let fen = 0; fen < 30000; fen += 7) {
            expect(toFen(fen / 100)).toBe(fen);
        }
        expect(toFen(19.99)).toBe(1999);
        expect(toFen(1.005 * 100)).toBe(10050);
        expect(toFen(-0.1 - 0.2)).toBe(-30);
        expect(toFen(-0)).toBe(0);
        expect(Object.is(toFen(-0.001), 0)).toBe(true);
    });
});

test("the cart is sent in whole fen", async () => {
    const { order } = await openOrder(19.99);
    const cart = cartOf(order);
    expect(cart.total_fen).toBe(1999);
    expect(cart.lines).toEqual([
        {
            uuid: order.lines[0].uuid,
            product_id: order.lines[0].product_id.id,
            qty: 1,
            price_total_fen: 1999,
            is_reward_line: false,
        },
    ]);
});
