import { describe, expect, test } from "@odoo/hoot";
import { TicketScreen } from "@point_of_sale/app/screens/ticket_screen/ticket_screen";
import { addProductLineToOrder } from "@pos_loyalty/../tests/unit/utils";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { toFen } from "@wechat_pay/app/utils/fen";
import { CODE, found, mockServer, openOrder, settle } from "../utils";

definePosModels();

const COUPONS = [
    { name: "coupon", code: "****7890", id: 7001, is_back: true, new_code: false, message: "Back." },
];

/** An order of goods with 20 off, and what refunds some of them. */
async function paidOrder(...goods) {
    mockServer({ lookup: found(), given_back: { ok: true, coupons: COUPONS } });
    const [first, ...others] = goods.length ? goods : [[100, 1], [60, 2]];
    const { desk, store, order } = await openOrder();
    for (const [price_unit, qty] of [first, ...others]) {
        await addProductLineToOrder(store, order, { price_unit, qty });
    }
    const lines = [...order.lines];
    await desk.activate(CODE);
    await settle();
    expect.verifySteps(["lookup"]);
    const screen = Object.create(TicketScreen.prototype);
    screen.pos = store;
    order.state = "paid";
    const refund = (...quantities) => {
        const order = store.createNewOrder();
        quantities.forEach((qty, index) => {
            if (qty) {
                giveBack(store, order, lines[index], qty);
            }
        });
        screen.postRefund(order);
        return order;
    };
    return { store, order, lines, discount: order.wechatDiscountLines()[0], refund };
}

function giveBack(store, order_id, line, qty) {
    return store.models["pos.order.line"].create({
        qty: -qty,
        price_unit: line.price_unit,
        product_id: line.product_id,
        order_id,
        tax_ids: line.tax_ids.map((tax) => ["link", tax]),
        refunded_orderline_id: line,
    });
}

const total = (...orders) => orders.reduce((sum, { priceIncl }) => sum + toFen(priceIncl), 0);

const shareOf = (refund, discount) =>
    refund.lines
        .filter(({ refunded_orderline_id }) => refunded_orderline_id.uuid === discount.uuid)
        .reduce((sum, line) => sum + toFen(line.prices.total_included), 0);

describe("what is paid out", () => {
    test("with all goods goes the whole discount", async () => {
        const { order, discount, refund } = await paidOrder();
        const all = refund(1, 2);
        expect(shareOf(all, discount)).toBe(-toFen(discount.prices.total_included));
        expect(total(all)).toBe(-total(order));
        expect(discount.refundedQty).toBe(1);
    });

    test("parts add up to what was paid, in any order", async () => {
        const { order, discount, refund } = await paidOrder([33.33, 3], [9.99, 2], [0.07, 1]);
        const parts = [refund(1, 0, 0), refund(0, 2, 0), refund(1, 0, 1), refund(1, 0, 0)];
        expect(total(...parts)).toBe(-total(order));
        expect(Math.abs(discount.refundedQty - 1)).toBeLessThan(1e-9);
        for (const part of parts) {
            expect(total(part)).toBeLessThan(0);
        }
    });

    test("what was rounded on the goods is made up for", async () => {
        const { store, order, lines, refund } = await paidOrder([33.33, 3], [60, 1]);
        lines[0].discount = 10;
        await store.orderUpdateLoyaltyPrograms();
        const give = () => {
            const part = refund(0, 0);
            giveBack(store, part, lines[0], 1).discount = 10;
            part.wechatSettleRefund();
            return part;
        };
        const parts = [give(), give(), give(), refund(0, 1)];
        expect(total(...parts)).toBe(-total(order));
    });

    test("goods that are taken off the refund take their part along", async () => {
        const { discount, refund } = await paidOrder();
        const part = refund(1, 2);
        const [book] = part.lines;
        book.delete();
        part.wechatSettleRefund();
        const fen = -toFen(discount.prices.total_included);
        expect(shareOf(part, discount)).toBeLessThan(fen);
        expect(shareOf(part, discount)).toBeGreaterThan(fen / 2);
        part.lines[0].delete();
        part.wechatSettleRefund();
        expect(part.lines).toHaveLength(0);
    });

    test("a refund that was given up does not count", async () => {
        const { order, refund } = await paidOrder();
        const first = refund(1, 0);
        first.state = "cancel";
        expect(total(refund(1, 2))).toBe(-total(order));
    });
});

test("the cashier is told once, and so is the customer", async () => {
    const { store, refund } = await paidOrder();
    const part = refund(1, 2);
    await store.wechatTellGivenBack(part);
    expect.verifySteps([]);
    part.state = "paid";
    await store.postSyncAllOrders([part]);
    await store.postSyncAllOrders([part]);
    expect.verifySteps(["given_back"]);
    expect(part.uiState.wechatGivenBack).toEqual(COUPONS);
});
