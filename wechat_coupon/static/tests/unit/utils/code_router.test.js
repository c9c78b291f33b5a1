import { describe, expect, test } from "@odoo/hoot";
import {
    cleanTypedCode,
    isTwelveDigits,
    maskCode,
    productSpellings,
    routeOf,
} from "@wechat_coupon/app/utils/code_router";

describe.current.tags("headless");

test("people type the gaps that the phone shows", () => {
    expect(cleanTypedCode("6212 3456 7890")).toBe("621234567890");
    expect(cleanTypedCode("6212-3456-7890")).toBe("621234567890");
    expect(cleanTypedCode("044e-7d1c")).toBe("044e-7d1c");
});

test("a product may be stored with or without the zero before a UPC-A code", () => {
    expect(isTwelveDigits("012345678905")).toBe(true);
    expect(productSpellings("012345678905")).toEqual(["012345678905", "0012345678905"]);
    expect(productSpellings("0012345678905")).toEqual(["0012345678905", "012345678905"]);
    const parsed = { base_code: "0012345678905", code: "0012345678905" };
    expect(productSpellings("012345678905", parsed)).toEqual(["0012345678905", "012345678905"]);
    const weighted = { base_code: "2100001000008", code: "2100001012346" };
    expect(productSpellings("2100001012346", weighted)).toEqual([
        "2100001000008",
        "2100001012346",
    ]);
});

test("only the end of a code is shown", () => {
    expect(maskCode("621234567890")).toBe("****7890");
    expect(maskCode("AX3")).toBe("****");
});

describe("route", () => {
    const scan = (code, type = "product") => ({
        code,
        parsed: type && { type, code, base_code: code },
    });

    test("a product of the till wins, whatever its code looks like", () => {
        const known = { product: true };
        expect(routeOf(scan("621234567890"), known)).toBe("product");
        expect(routeOf(scan("134567890123456789"), known)).toBe("product");
        expect(routeOf(scan("2205000000000", "discount"), known)).toBe("product");
    });

    test("what looks like a payment code is a code like any other here", () => {
        expect(routeOf(scan("134567890123456789"))).toBe("ask");
        expect(routeOf(scan("134567890123456789", "client"))).toBe("record_first");
    });

    test("what nobody at the till knows is asked", () => {
        expect(routeOf(scan("621234567890"))).toBe("ask");
        expect(routeOf(scan("2305000123459", "price"))).toBe("ask");
        expect(routeOf(scan("AXE347", "error"))).toBe("ask");
        expect(routeOf(scan("AXE347", null))).toBe("ask");
    });

    test("Odoo's prefixes do not swallow a coupon", () => {
        expect(routeOf(scan("042123456789", "client"))).toBe("record_first");
        expect(routeOf(scan("041123456789", "cashier"))).toBe("coupon_first");
        expect(routeOf(scan("220512345678", "discount"))).toBe("coupon_first");
        expect(routeOf(scan("044123456789", "coupon"))).toBe("coupon");
    });

    test("the card of a customer and an employee's badge are Odoo's", () => {
        const known = { person: true };
        for (const type of ["client", "cashier", "product", "error"]) {
            expect(routeOf(scan("042123456789", type), known)).toBe("core");
        }
    });

    test("GS1 codes are Odoo's", () => {
        expect(routeOf({ code: "01095011015300031", parsed: [{ type: "product" }] })).toBe("core");
    });
});
