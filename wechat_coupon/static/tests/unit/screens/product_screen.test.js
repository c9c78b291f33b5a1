import { expect, test } from "@odoo/hoot";
import { click, queryAllTexts, waitFor } from "@odoo/hoot-dom";
import { mountWithCleanup, onRpc } from "@web/../tests/web_test_helpers";
import { Mutex } from "@web/core/utils/concurrency";
import { MainComponentsContainer } from "@web/core/main_components_container";
import { ProductScreen } from "@point_of_sale/app/screens/product_screen/product_screen";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import {
    CODE,
    found,
    loseConnection,
    mockServer,
    openOrder,
    PAYMENT_CODE,
    settle,
} from "../utils";

definePosModels();

const UPC = "012345678905";

async function mountScreen(answers) {
    const known = mockServer(answers);
    onRpc("product.template", "load_product_from_pos", () => {
        expect.step("products");
        return { "product.template": [], "product.product": [] };
    });
    const till = await openOrder(100);
    await mountWithCleanup(MainComponentsContainer);
    const screen = await mountWithCleanup(ProductScreen, {
        props: { orderUuid: till.order.uuid },
    });
    screen.barcodeReader = {
        mutex: new Mutex(),
        wechatScanAsOdoo: (code) => expect.step(`odoo ${code}`),
    };
    screen.sound = { play: () => {} };
    return { ...till, screen, known };
}

const scanOf = (code, type = "product", base_code = code) => ({
    raw: code,
    code,
    parsed: { type, code, base_code, value: 0 },
});

function storeBarcode(store, barcode) {
    store.models["product.product"].get(5).update({ barcode });
}

test("a product of the till is sold at once; a coupon made later is found", async () => {
    const { screen, store, order, desk, known } = await mountScreen();
    storeBarcode(store, UPC);
    expect(await screen._wechatOnScan(scanOf(UPC))).toBe(true);
    expect(order.lines).toHaveLength(2);
    await settle();
    expect.verifySteps(["is_code"]);
    known.is_code = true;
    expect(await desk.isCouponCode(UPC)).toBe(true);
    expect(await desk.isCouponCode(UPC)).toBe(true);
    expect.verifySteps(["is_code"]);
});

test("only a few codes that are both are remembered", async () => {
    const { desk } = await mountScreen({ is_code: true });
    for (let number = 0; number < 60; number++) {
        desk.codes._remember(`6200000000${number}`);
    }
    expect(desk.codes.couponCodes.size).toBe(50);
    expect(desk.codes.couponCodes.has("620000000059")).toBe(true);
});

test("a product is found behind the zero that Odoo put before it", async () => {
    const { screen, store, order } = await mountScreen();
    storeBarcode(store, UPC);
    await screen._wechatOnScan(scanOf(UPC, "product", `0${UPC}`));
    await settle();
    expect(order.lines).toHaveLength(2);
    expect.verifySteps(["is_code"]);
});

test("a code that is both: the cashier chooses the coupon", async () => {
    const { screen, store, order } = await mountScreen({ is_code: true, lookup: found({ code: UPC }) });
    storeBarcode(store, UPC);
    await screen._wechatOnScan(scanOf(UPC));
    await waitFor(".selection-item");
    expect(order.lines).toHaveLength(2);
    await click(".selection-item:contains(WeChat coupon)");
    await settle();
    expect(order.priceIncl).toBe(80);
    expect(order.lines.filter((line) => !line.is_reward_line)).toHaveLength(1);
    expect.verifySteps(["is_code", "lookup"]);
});

test("a twelve-digit coupon is no product, also when Odoo adds a zero", async () => {
    const { screen, order } = await mountScreen({ lookup: found() });
    expect(screen._wechatOnScan(scanOf(CODE, "product", `0${CODE}`))).toBe(true);
    await settle();
    expect(order.priceIncl).toBe(80);
    expect.verifySteps(["products", "lookup"]);
});

test("a code that nobody knows gives one sentence", async () => {
    const { screen, order } = await mountScreen();
    screen._wechatOnScan(scanOf("6901234567892"));
    await settle();
    expect(".o_notification").toHaveCount(1);
    expect(".o_notification").toHaveText(/no product and no coupon with the code 6901234567892/);
    expect(order.lines).toHaveLength(1);
    expect.verifySteps(["products", "lookup"]);
});

test("without a connection one sentence says so", async () => {
    const { screen, store, order } = await mountScreen();
    loseConnection(store);
    screen._wechatOnScan(scanOf(CODE));
    await settle();
    expect(".o_notification").toHaveCount(1);
    expect(".o_notification").toHaveText(/No connection to the server/);
    expect(order.lines).toHaveLength(1);
    expect.verifySteps([]);
});

test("a till without WeChat Pay treats a payment code like any other code", async () => {
    const { screen } = await mountScreen();
    screen._wechatOnScan(scanOf(PAYMENT_CODE));
    await settle();
    expect(".o_notification").toHaveText(/no product and no coupon/);
    expect.verifySteps(["products", "lookup"]);
});

test("a coupon that looks like a discount label gives no discount", async () => {
    const code = "220512345678";
    const { screen, order } = await mountScreen({ lookup: found({ code }) });
    screen._wechatOnScan(scanOf(code, "discount", "220012345678"));
    await settle();
    expect(order.priceIncl).toBe(80);
    expect(order.lines[0].getDiscount()).toBe(0);
    expect.verifySteps(["lookup"]);
});

test("a real discount label reaches Odoo", async () => {
    const { screen } = await mountScreen();
    screen._wechatOnScan(scanOf("2205", "discount", "2200"));
    await settle();
    expect.verifySteps(["lookup", "odoo 2205"]);
});

test("a coupon in the customers' range is found when no customer is", async () => {
    const code = "042123456789";
    const { screen, order } = await mountScreen({ lookup: found({ code }) });
    screen._wechatOnScan(scanOf(code, "client"));
    await settle();
    expect(order.priceIncl).toBe(80);
    expect.verifySteps(["lookup"]);
});

test("the card of a customer whom the till knows is Odoo's and sent nowhere", async () => {
    const code = "042123456789";
    const { screen, store } = await mountScreen();
    store.models["res.partner"].getFirst().update({ barcode: code });
    for (const type of ["client", "cashier", "product"]) {
        expect(screen._wechatOnScan(scanOf(code, type))).toBe(false);
    }
    await settle();
    expect.verifySteps([]);
});

test("a refused coupon is explained in a dialog", async () => {
    const reasons = [{ code: "expired", message: "This coupon expired on 2026-01-01." }];
    const { screen, order } = await mountScreen({ lookup: found({ reasons }) });
    screen._wechatOnScan(scanOf(CODE));
    await waitFor(".modal-title:contains(cannot be used)");
    expect(queryAllTexts(".modal-body").at(-1)).toBe("This coupon expired on 2026-01-01.");
    expect(order.lines).toHaveLength(1);
    expect.verifySteps(["products", "lookup"]);
});
