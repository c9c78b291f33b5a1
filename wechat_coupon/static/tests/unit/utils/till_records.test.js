import { describe, expect, test } from "@odoo/hoot";
import { patchWithCleanup } from "@web/../tests/web_test_helpers";
import { findProduct, isPerson } from "@wechat_coupon/app/utils/till_records";

describe.current.tags("headless");

/** Models with one record each, as far as a barcode is looked for. */
function modelsWith(records) {
    const model = (record) => ({
        getBy: (field, value) => (record?.[field] === value ? record : undefined),
    });
    return {
        "product.product": model(records.product),
        "product.uom": model(records.packaging),
        "res.partner": model(records.partner),
        ...(records.employees && { "hr.employee": records.employees }),
    };
}

const scanOf = (code, parsed = { code, base_code: code }) => ({ code, parsed });

test("a product is found by its own code and by that of a packaging", () => {
    const product = { id: 5, barcode: "0012345678905" };
    expect(findProduct(modelsWith({ product }), scanOf("012345678905"))).toEqual({
        product,
        barcode: "0012345678905",
    });
    const packaging = { barcode: "6901234567892", product_id: product };
    expect(findProduct(modelsWith({ packaging }), scanOf("6901234567892"))?.product).toBe(product);
    expect(findProduct(modelsWith({ packaging }), scanOf("6901234567893", null))).toBe(null);
});

test("a customer's card is known as scanned and as the nomenclature reads it", () => {
    const models = modelsWith({ partner: { barcode: "042123456789" } });
    expect(isPerson(models, scanOf("042123456789"))).toBe(true);
    expect(isPerson(models, scanOf("42123456789", { code: "042123456789" }))).toBe(true);
    expect(isPerson(models, scanOf("042123456780"))).toBe(false);
    expect(isPerson(models, scanOf("042123456789", null))).toBe(true);
});

test("an employee's badge is known by its hash", () => {
    patchWithCleanup(globalThis, { Sha1: { hash: (code) => `hash of ${code}` } });
    const employees = [{ _barcode: false }, { _barcode: "hash of 041123" }];
    expect(isPerson(modelsWith({ employees }), scanOf("041123"))).toBe(true);
    expect(isPerson(modelsWith({ employees }), scanOf("041124"))).toBe(false);
    expect(isPerson(modelsWith({}), scanOf("041123"))).toBe(false);
});
