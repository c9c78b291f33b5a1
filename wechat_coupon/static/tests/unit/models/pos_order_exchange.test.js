import { expect, test } from "@odoo/hoot";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { addProductLineToOrder } from "@pos_loyalty/../tests/unit/utils";
import { CODE, COUPON_ID, found, mockServer, openOrder, settle } from "../utils";

definePosModels();

// Seven yuan and 15 percent: product 5 has a tax on top of its price.
const TAXED = 8.05;

/** One piece of the first product for 9.90; it cost 60 when the template was made. */
function exchange(price = 9.9, productId = 1) {
    const answer = found();
    Object.assign(answer.load["loyalty.reward"][0], {
        discount: 60 - price,
        discount_applicability: "specific",
        all_discount_product_ids: [productId],
        wechat_is_exchange: true,
        wechat_exchange_price: price,
    });
    return answer;
}

async function totalWith(answer, ...lines) {
    mockServer({ lookup: answer });
    const till = await openOrder(0);
    for (const line of lines) {
        await addProductLineToOrder(till.store, till.order, line);
    }
    await till.desk.activate(CODE);
    await settle();
    expect.verifySteps(["lookup"]);
    return till.order;
}

for (const price_unit of [60, 45, 83.33]) {
    test(`one piece has the fixed price when the product costs ${price_unit}`, async () => {
        const order = await totalWith(exchange(), { price_unit });
        expect(order.priceIncl).toBeCloseTo(9.9);
    });
}

test("the other pieces and products keep their price", async () => {
    const order = await totalWith(
        exchange(),
        { price_unit: 45, qty: 3 },
        { templateId: 5, productId: 5, price_unit: 7 }
    );
    expect(order.priceIncl).toBeCloseTo(9.9 + 2 * 45 + TAXED);
});

test("it may be for nothing", async () => {
    const order = await totalWith(exchange(0), { price_unit: 80 });
    expect(order.priceIncl).toBeCloseTo(0);
});

for (const price_unit of [9.9, 5]) {
    test(`nobody pays more than ${price_unit} because of the coupon`, async () => {
        const order = await totalWith(exchange(), { price_unit });
        expect(order.priceIncl).toBeCloseTo(price_unit);
        expect(order.wechatAppliedCoupons()).toHaveLength(0);
    });
}

test("with a tax on top, the fixed price has the tax in it", async () => {
    const order = await totalWith(
        exchange(9.9, 5),
        { templateId: 5, productId: 5, price_unit: 50 },
        { price_unit: 3 }
    );
    expect(order.priceIncl).toBeCloseTo(9.9 + 3);
    expect(order.lines[0].prices.total_included).toBeCloseTo(57.5);
});

test("it waits for its product, and then applies itself", async () => {
    const answer = exchange();
    const reasons = [{ code: "product_missing", message: "Add it." }];
    mockServer({ lookup: { ...answer, eligible: false, reasons } });
    const { store, order, desk } = await openOrder(0);
    await addProductLineToOrder(store, order, {
        templateId: 5,
        productId: 5,
        price_unit: 7,
    });
    const result = await desk.activate(CODE);
    expect(result.message).toBe("Add it.");
    expect(order.wechatGuardedCoupons()).toHaveLength(1);
    await addProductLineToOrder(store, order, { price_unit: 60 });
    store.updateRewards();
    await settle();
    expect(order.wechatAppliedCoupons().map(({ id }) => id)).toEqual([COUPON_ID]);
    expect(order.priceIncl).toBeCloseTo(9.9 + TAXED);
    expect.verifySteps(["lookup"]);
});
