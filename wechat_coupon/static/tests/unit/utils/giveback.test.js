import { expect, test } from "@odoo/hoot";
import { discountBack, isAllBack, payable, splitFen } from "@wechat_coupon/app/utils/giveback";

/** The same numbers as in `test_giveback.py`. */
test("the same as on the server", () => {
    const goods = [
        { key: "a", fen: 10000, qty: 3, back: 1 },
        { key: "b", fen: 6000, qty: 2, back: 2 },
    ];
    expect(discountBack({ fen: 2000, goods: ["a", "b"] }, goods)).toBe(1167);
    expect(discountBack({ fen: 2000, goods: ["b"] }, goods)).toBe(2000);
    const weighed = [{ key: "a", fen: 3333, qty: 0.333, back: 0.1 }];
    expect(discountBack({ fen: 1000, goods: ["a"] }, weighed)).toBe(301);
    expect(payable(weighed, [{ fen: 1000, goods: ["a"] }])).toBe(699);
});

test("the remainder goes to the largest fractions, the first of equal ones first", () => {
    expect(splitFen(100, [1, 1, 1])).toEqual([34, 33, 33]);
    expect(splitFen(5, [0, 0])).toEqual([5, 0]);
    expect(splitFen(10 ** 12 + 1, [10 ** 12, 1])).toEqual([10 ** 12, 1]);
});

test("all is back when nothing is left", () => {
    expect(isAllBack([{ key: "a", fen: 1, qty: 0.3, back: 0.1 + 0.2 }])).toBe(true);
    expect(isAllBack([{ key: "a", fen: 1, qty: 2, back: 1 }])).toBe(false);
});
