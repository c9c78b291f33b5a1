import { expect, test } from "@odoo/hoot";
import { TicketScreen } from "@point_of_sale/app/screens/ticket_screen/ticket_screen";
import { addProductLineToOrder } from "@pos_loyalty/../tests/unit/utils";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { CODE, found, mockServer, openOrder, settle } from "../utils";

definePosModels();

/** An order of 100 and 60 with 20 off, and a screen that refunds it. */
async function paidOrder() {
    mockServer({ lookup: found() });
    const { desk, store, order } = await openOrder(100);
    const [book] = order.lines;
    const pen = await addProductLineToOrder(store, order, { price_unit: 60, qty: 2 });
    await desk.activate(CODE);
    await settle();
    expect.verifySteps(["lookup"]);
    const screen = Object.create(TicketScreen.prototype);
    screen.pos = store;
    const discount = order.wechatDiscountLines()[0];
    const choose = (line, qty) => {
        screen.getToRefundDetail(line).qty = qty;
    };
    const refunded = () => {
        const details = screen._getRefundableDetails(null, order);
        const found = details.find(({ line }) => line.uuid === discount.uuid);
        return found ? found.qty : 0;
    };
    return { screen, order, book, pen, discount, choose, refunded };
}

test("with all goods goes the whole discount", async () => {
    const { book, pen, choose, refunded } = await paidOrder();
    choose(book, book.qty);
    choose(pen, pen.qty);
    expect(refunded()).toBe(1);
});

test("with a part of the goods goes their part of the discount", async () => {
    const { book, pen, choose, refunded } = await paidOrder();
    choose(pen, 1);
    const total = book.prices.total_included + pen.prices.total_included;
    const expected = pen.prices.total_included / 2 / total;
    expect(Math.abs(refunded() - expected)).toBeLessThan(0.006);
});

test("without goods nothing goes, and what the cashier chose stays", async () => {
    const { book, discount, choose, refunded } = await paidOrder();
    expect(refunded()).toBe(0);
    choose(book, 1);
    choose(discount, 0.5);
    expect(refunded()).toBe(0.5);
});
