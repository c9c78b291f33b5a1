import { expect, test } from "@odoo/hoot";
import { patchWithCleanup } from "@web/../tests/web_test_helpers";
import { BarcodeReader } from "@point_of_sale/app/services/barcode_reader_service";

const CODE = "621234567890";

const PAYMENT_CODE = "134567890123456789";

function makeReader(keeps) {
    const parser = { parse_barcode: (code) => ({ code, base_code: code, type: "product" }) };
    const reader = new BarcodeReader(parser, {});
    reader.register({
        wechat({ raw }) {
            expect.step(`ours ${raw}`);
            expect(reader.parser).toBe(parser);
            return keeps;
        },
        product({ code }) {
            expect.step(`odoo ${code}`);
            expect(reader.parser).toBe(parser);
        },
    });
    return reader;
}

test("a code that is ours does not reach Odoo, any other one does", async () => {
    await makeReader(true).scan(CODE);
    expect.verifySteps([`ours ${CODE}`]);
    await makeReader(false).scan(CODE);
    expect.verifySteps([`ours ${CODE}`, `odoo ${CODE}`]);
});

test("a payment code is offered with what the nomenclature takes it for", async () => {
    const reader = makeReader(false);
    let keeps = true;
    reader.register({
        wechat_payment({ code, parsed }) {
            expect.step(`payment ${code} ${parsed.type}`);
            return keeps;
        },
    });
    await reader.scan(PAYMENT_CODE);
    expect.verifySteps([`payment ${PAYMENT_CODE} product`]);
    keeps = false;
    await reader.scan(PAYMENT_CODE);
    expect.verifySteps([
        `payment ${PAYMENT_CODE} product`,
        `ours ${PAYMENT_CODE}`,
        `odoo ${PAYMENT_CODE}`,
    ]);
    await reader.scan(CODE);
    expect.verifySteps([`ours ${CODE}`, `odoo ${CODE}`]);
});

test("who has the reader exclusively has every code", async () => {
    const reader = makeReader(true);
    reader.register({ wechat_payment: () => expect.step("payment") });
    const release = reader.register({ product: ({ code }) => expect.step(`login ${code}`) }, true);
    await reader.scan(PAYMENT_CODE);
    await reader.scan(CODE);
    expect.verifySteps([`login ${PAYMENT_CODE}`, `login ${CODE}`]);
    release();
    await reader.scan(CODE);
    expect.verifySteps([`ours ${CODE}`]);
});

test("what turns out to be Odoo's passes the patches of every add-on, and not us", async () => {
    patchWithCleanup(BarcodeReader.prototype, {
        async _scan(code) {
            expect.step(`later add-on ${code}`);
            return super._scan(...arguments);
        },
    });
    const reader = makeReader(true);
    await reader.wechatScanAsOdoo(CODE);
    expect.verifySteps([`later add-on ${CODE}`, `odoo ${CODE}`]);
    await reader.scan(CODE);
    expect.verifySteps([`later add-on ${CODE}`, `ours ${CODE}`]);
});

test("a scan that breaks does not hide the next one from us", async () => {
    const reader = makeReader(true);
    reader.register({
        product() {
            throw new Error("a mistake of an add-on");
        },
    });
    await expect(reader.wechatScanAsOdoo(CODE)).rejects.toThrow("a mistake of an add-on");
    await reader.scan(CODE);
    expect.verifySteps([`odoo ${CODE}`, `ours ${CODE}`]);
});
