import { beforeEach, describe, expect, test } from "@odoo/hoot";
import {
    couponsOf,
    FORCE_AFTER_MS,
    receiptOf,
    viewOf,
} from "@wechat_pay/app/utils/payment/payment_view";
import { allowTranslations } from "@web/../tests/web_test_helpers";

describe.current.tags("headless");
beforeEach(allowTranslations);

const NOW = 1000000;
const look = (payment, more = {}) =>
    viewOf({ payment, ways: "both", isDone: false, isRefund: false, now: NOW, ...more });
const paying = (vals) => ({ isOver: false, status: {}, deadline: 0, troubleSince: 0, ...vals });

test("before anything is sent, the cashier is told what to do", () => {
    const view = look(undefined);
    expect({ ...view, title: `${view.title}` }).toEqual({
        tone: "idle",
        title: "Scan the customer's payment code",
        text: "",
        seconds: 0,
        actions: ["qr"],
    });
    expect(look(undefined, { ways: "codepay" }).actions).toEqual([]);
    expect(look(undefined, { ways: "native" }).title).toBe("Show the customer a QR code");
});

test("a refusal says why, and what to do next", () => {
    const payment = { isOver: true, status: { message: "Not enough money." } };
    const { tone, title, text, actions } = look(payment);
    expect([tone, text]).toEqual(["refused", "Not enough money."]);
    expect(title).toInclude("new payment code");
    expect(actions).toEqual(["qr"]);
    expect(look(payment, { ways: "native" }).title).toBe("Not paid");
});

test("each state has its title", () => {
    const titles = [
        [{ state: "sending", way: "codepay" }, "being charged"],
        [{ state: "sending", way: "native" }, "Making a QR code"],
        [{ state: "waiting", way: "codepay" }, "password"],
        [{ state: "waiting", way: "native", codeUrl: "weixin://x" }, "to scan"],
        [{ state: "unknown", way: "codepay" }, "WeChat is being asked"],
        [{ state: "closing", way: "codepay" }, "being cancelled"],
        [{ state: "waiting", way: "codepay", cancelling: true }, "being cancelled"],
        [{ state: "abnormal", way: "codepay" }, "Call the manager"],
    ];
    for (const [payment, words] of titles) {
        const view = look(paying(payment));
        expect(view.title).toInclude(words);
        expect(view.tone).toBe("busy");
    }
});

test("it can be cancelled unless it is being cancelled, or has gone wrong", () => {
    expect(look(paying({ state: "waiting" })).actions).toEqual(["cancel"]);
    expect(look(paying({ state: "unknown" })).actions).toEqual(["cancel"]);
    expect(look(paying({ state: "waiting", cancelling: true })).actions).toEqual([]);
    expect(look(paying({ state: "abnormal" })).actions).toEqual([]);
    const qr = paying({ state: "waiting", way: "native", codeUrl: "weixin://x" });
    expect(look(qr).actions).toEqual(["reopen", "cancel"]);
});

test("the cashier may say that it is paid only after a long doubt", () => {
    const at = (age) => look(paying({ state: "unknown", troubleSince: NOW - age })).actions;
    expect(at(0)).toEqual(["cancel"]);
    expect(at(FORCE_AFTER_MS - 1)).toEqual(["cancel"]);
    expect(at(FORCE_AFTER_MS)).toEqual(["cancel", "force"]);
    const lost = { state: "unknown", troubleSince: NOW - FORCE_AFTER_MS };
    expect(look(paying({ ...lost, state: "closing" })).actions).toEqual(["cancel"]);
    expect(look(paying({ ...lost, cancelling: true })).actions).toEqual([]);
    expect(look(paying({ ...lost, cancelAsked: true })).actions).toEqual(["cancel"]);
});

test("what only the cashier says is shown as not confirmed", () => {
    for (const isRefund of [false, true]) {
        const forced = look({ isOver: true, status: {} }, { isDone: true, isUnproven: true, isRefund });
        expect([forced.tone, `${forced.title}`]).toEqual(["unproven", "Not confirmed by WeChat"]);
        expect(forced.text).toInclude("checked later");
        expect(forced.actions).toEqual([]);
    }
});

test("the seconds left are never negative", () => {
    expect(look(paying({ deadline: NOW + 4100 })).seconds).toBe(5);
    expect(look(paying({ deadline: NOW - 1 })).seconds).toBe(0);
    expect(look(paying({ deadline: 0 })).seconds).toBe(0);
});

test("our own sentence comes before the server's older one", () => {
    const payment = paying({ problem: "No connection", status: { message: "Password" } });
    expect(look(payment).text).toBe("No connection");
});

test("money that goes back", () => {
    const refund = { isRefund: true };
    expect(look(undefined, refund).actions).toEqual(["refund"]);
    expect(look(paying({}), refund).actions).toEqual([]);
    const lost = paying({ isRefund: true, troubleSince: NOW - FORCE_AFTER_MS });
    expect(look(lost, refund).actions).toEqual(["force"]);
    const unknown = { isOver: true, state: "unknown", status: { message: "Go on." } };
    expect(look(unknown, refund).actions).toEqual(["refund", "force"]);
    expect(look(unknown, refund).title).toInclude("Not known");
    const pending = { isOver: true, state: "pending", status: { message: "Not yet." } };
    const working = look(pending, { isDone: true, isRefund: true });
    expect(working.title).toInclude("still working");
    expect(working.text).toInclude("checked later");
    const done = { isOver: true, status: { message: "Within minutes." } };
    const { tone, title, text } = look(done, { isDone: true, isRefund: true });
    expect([tone, `${title}`, text]).toEqual(["done", "Refunded", "Within minutes."]);
});

describe("receipt", () => {
    const money = (amount) => amount.toFixed(2);

    test("WeChat's number", () => {
        expect(receiptOf({ transaction_id: "4200" }, money)).toBe("WeChat Pay number: 4200");
    });

    test("WeChat's coupons, and what the customer paid", () => {
        const status = {
            transaction_id: "4200",
            payer_total: 1134,
            promotions: [
                { name: "减一元", amount: 100, type: "NOCASH" },
                { name: "", amount: 5, type: "CASH" },
            ],
        };
        expect(receiptOf(status, money).split("\n")).toEqual([
            "减一元: -1.00",
            "WeChat coupon: -0.05",
            "Paid by the customer: 11.34",
            "WeChat Pay number: 4200",
        ]);
        expect(couponsOf({}, money)).toEqual([]);
    });
});
