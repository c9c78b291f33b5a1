import { beforeEach, describe, expect, test } from "@odoo/hoot";
import { tick } from "@odoo/hoot-dom";
import { advanceTime, Deferred, mockDate } from "@odoo/hoot-mock";
import { ConnectionLostError, RPCError } from "@web/core/network/rpc";
import { PayServer } from "@wechat_pay/app/services/pay_server";
import { isForceable } from "@wechat_pay/app/utils/payment/payment_view";
import { CODE_LIFE_MS, WechatPayment } from "@wechat_pay/app/utils/payment/wechat_payment";
import { allowTranslations } from "@web/../tests/web_test_helpers";

describe.current.tags("headless");

const LINE = { uuid: "00000000-0000-4000-8000-000000000001" };

/** Answers what the test says; each call is a step. */
class FakeServer extends PayServer {
    constructor(answers) {
        super({}, { id: 1 });
        this.answers = answers;
    }
    async _send(name) {
        const verb = name.replace("wechat_pay_", "");
        expect.step(verb);
        const answer = this.answers[verb];
        const value = await (typeof answer === "function" ? answer() : answer);
        if (value instanceof Error) {
            throw value;
        }
        return value;
    }
    log() {}
}

const status = (state, more = {}) => ({
    state,
    number: "n1",
    way: "codepay",
    message: "",
    error: "",
    seconds: 40,
    ...more,
});

function make(answers, options = {}) {
    const payment = new WechatPayment({
        line: LINE,
        way: "codepay",
        server: new FakeServer(answers),
        onChange: () => {},
        onEnd: (one, isPaid) => expect.step(isPaid ? "paid" : "not paid"),
        onAbnormal: () => expect.step("abnormal"),
        ...options,
    });
    return { payment, answers };
}

async function pass(millis) {
    await advanceTime(millis);
    for (let turn = 0; turn < 5; turn++) {
        await tick();
    }
}

beforeEach(() => {
    allowTranslations();
    mockDate("2031-05-01 10:00:00", 0);
});

test("paid at once", async () => {
    const { payment } = make({ start: status("done") });
    await payment.start({});
    expect.verifySteps(["start", "paid"]);
    await pass(10000);
    expect.verifySteps([]);
});

test("asks every two seconds until the customer has paid", async () => {
    const { payment, answers } = make({ start: status("waiting"), status: status("waiting") });
    await payment.start({});
    expect.verifySteps(["start"]);
    await pass(2000);
    await pass(2000);
    expect.verifySteps(["status", "status"]);
    expect([payment.state, payment.deadline > Date.now()]).toEqual(["waiting", true]);
    answers.status = status("done");
    await pass(2000);
    expect.verifySteps(["status", "paid"]);
});

test("a notice of the server asks at once, and not twice at a time", async () => {
    const answer = new Deferred();
    const { payment } = make({ start: status("waiting"), status: () => answer });
    await payment.start({});
    payment.poll();
    payment.poll();
    await tick();
    expect.verifySteps(["start", "status"]);
    answer.resolve(status("done"));
    await pass(0);
    expect.verifySteps(["paid"]);
});

test("refused: the sentence stays, the line is free", async () => {
    const { payment } = make({ start: status("failed", { message: "Scan again." }) });
    await payment.start({});
    expect.verifySteps(["start", "not paid"]);
    expect([payment.isOver, payment.status.message]).toEqual([true, "Scan again."]);
});

describe("while the charge is on its way", () => {
    test("an answer about the line's last attempt is none", async () => {
        const start = new Deferred();
        const { payment, answers } = make(
            { start: () => start, status: status("failed", { number: "n0", message: "Old." }) },
            { oldNumber: "n0" }
        );
        payment.start({});
        await pass(2000);
        expect.verifySteps(["start", "status"]);
        answers.status = { state: "none" };
        await pass(2000);
        expect.verifySteps(["status"]);
        start.resolve(status("done"));
        await pass(0);
        expect.verifySteps(["paid"]);
    });

    test("a cancel that finds nothing ends nothing: the charge may still arrive", async () => {
        const start = new Deferred();
        const { payment } = make({ start: () => start, cancel: { state: "none" } });
        payment.start({});
        await payment.cancel();
        expect.verifySteps(["start", "cancel"]);
        expect(payment.isOver).toBe(false);
        start.resolve(status("done"));
        await pass(0);
        expect.verifySteps(["paid"]);
    });

    test("after the code's life nothing can arrive any more", async () => {
        const { payment } = make({ start: () => new Deferred(), status: { state: "none" } });
        payment.start({});
        const polls = CODE_LIFE_MS / 2000;
        for (let poll = 1; poll < polls; poll++) {
            await pass(2000);
        }
        expect(payment.isOver).toBe(false);
        await pass(2000);
        expect(payment.isOver).toBe(true);
        expect.verifySteps(["start", ...Array(polls).fill("status"), "not paid"]);
        expect(payment.status.message).toInclude("Nothing was charged");
        expect(payment.status.message).not.toInclude("connection");
    });

    test("what another attempt of it has come to counts", async () => {
        const { payment } = make({ start: () => new Deferred(), status: status("done") });
        payment.start({});
        await pass(2000);
        expect.verifySteps(["start", "status", "paid"]);
    });
});

describe("the server", () => {
    test("is out of reach: the payment goes on, and so does the asking", async () => {
        const { payment, answers } = make({
            start: status("waiting"),
            status: () => new ConnectionLostError(),
        });
        await payment.start({});
        await pass(2000);
        expect(payment.offline).toBe(true);
        expect(payment.problem).toInclude("No connection to the server");
        expect(payment.isOver).toBe(false);
        const since = payment.troubleSince;
        expect(since).toBeGreaterThan(0);
        await pass(2000);
        expect(payment.troubleSince).toBe(since);
        answers.status = status("waiting");
        await pass(2000);
        expect([payment.offline, payment.problem, payment.troubleSince]).toEqual([false, "", 0]);
        answers.status = status("done");
        await pass(2000);
        expect.verifySteps(["start", "status", "status", "status", "status", "paid"]);
    });

    test("does not answer: the call ends in time", async () => {
        const { payment } = make({ start: status("waiting"), status: () => new Deferred() });
        await payment.start({});
        await pass(2000);
        await pass(8000);
        expect(payment.offline).toBe(true);
        await pass(2000);
        expect.verifySteps(["start", "status", "status"]);
    });

    test("refuses the call: nothing was sent, and the cashier reads why", async () => {
        const error = Object.assign(new RPCError(), {
            exceptionName: "odoo.exceptions.UserError",
            data: { message: "Open the till's session first." },
        });
        const { payment } = make({ start: () => error, status: { state: "none" } });
        await payment.start({});
        expect.verifySteps(["start", "status", "not paid"]);
        expect(payment.status.message).toBe("Open the till's session first.");
    });

    test("was not reached by the charge: it may be scanned again", async () => {
        const { payment } = make(
            {
                start: () => new ConnectionLostError(),
                status: status("failed", { number: "n0", message: "Old." }),
            },
            { oldNumber: "n0" }
        );
        await payment.start({});
        expect([payment.offline, payment.calls]).toEqual([true, 0]);
        // It may just be arriving there.
        await pass(2000);
        expect([payment.isOver, payment.offline]).toEqual([false, false]);
        await pass(2000);
        expect.verifySteps(["start", "status", "status", "not paid"]);
        expect(payment.status.message).toInclude("has not reached the server");
    });

    test("was reached by the charge, and only the answer was lost", async () => {
        const { payment, answers } = make({
            start: () => new ConnectionLostError(),
            status: { state: "none" },
        });
        await payment.start({});
        await pass(2000);
        answers.status = status("done");
        await pass(2000);
        expect.verifySteps(["start", "status", "status", "paid"]);
    });

    test("has answered, and we make a mistake: the call is over once", async () => {
        const { payment } = make({ start: status("waiting") }, { onChange: () => {
            throw new Error("a mistake of ours");
        } });
        await expect(payment.start({})).rejects.toThrow("a mistake of ours");
        expect(payment.calls).toBe(0);
        clearTimeout(payment.timer);
        expect.verifySteps(["start"]);
    });
});

describe("the end", () => {
    test("cancelled", async () => {
        const { payment } = make({
            start: status("waiting"),
            cancel: status("cancelled", { message: "Nothing was paid." }),
        });
        await payment.start({});
        await payment.cancel();
        expect.verifySteps(["start", "cancel", "not paid"]);
        expect(payment.status.message).toBe("Nothing was paid.");
    });

    test("given up: jobs close it, the till is free", async () => {
        const { payment } = make({
            start: status("waiting"),
            cancel: status("closing", { abandoned: true, message: "The money goes back." }),
        });
        await payment.start({});
        await payment.cancel();
        expect.verifySteps(["start", "cancel", "not paid"]);
    });

    test("the customer was faster than the cashier", async () => {
        const { payment } = make({ start: status("waiting"), cancel: status("done") });
        await payment.start({});
        await payment.cancel();
        expect.verifySteps(["start", "cancel", "paid"]);
    });

    test("a cancel without connection changes nothing", async () => {
        const { payment } = make({
            start: status("waiting"),
            cancel: () => new ConnectionLostError(),
        });
        await payment.start({});
        await payment.cancel();
        expect.verifySteps(["start", "cancel"]);
        expect([payment.isOver, payment.cancelling]).toEqual([false, false]);
        // The server may have got it, and then the money goes back.
        expect(isForceable(payment)).toBe(false);
        payment.take(status("waiting"));
        expect(isForceable(payment)).toBe(true);
    });

    test("what the server closes cannot be forced", async () => {
        const { payment } = make({ start: status("unknown") });
        await payment.start({});
        expect(isForceable(payment)).toBe(true);
        payment.take(status("closing"));
        expect(isForceable(payment)).toBe(false);
        payment.replace();
        expect.verifySteps(["start"]);
    });

    test("what was paid late and went back is not paid", async () => {
        const { payment } = make({ status: status("done", { abandoned: true }) });
        payment.take(status("done", { abandoned: true }));
        expect.verifySteps(["not paid"]);
    });

    test("another amount: told once, and asked further", async () => {
        const { payment } = make({ start: status("abnormal"), status: status("abnormal") });
        await payment.start({});
        await pass(2000);
        expect.verifySteps(["start", "abnormal", "status"]);
        expect(payment.isOver).toBe(false);
    });

    test("forced by the cashier", async () => {
        const { payment, answers } = make({ start: status("unknown") });
        await payment.start({});
        const asked = new Deferred();
        answers.status = () => asked;
        await pass(2000);
        payment.force();
        payment.force();
        await payment.cancel();
        // An answer that was under way changes nothing any more.
        asked.resolve(status("cancelled"));
        await pass(4000);
        expect.verifySteps(["start", "status", "paid"]);
    });

    test("a newer attempt takes the line over", async () => {
        const { payment } = make({ start: status("waiting"), status: status("cancelled") });
        await payment.start({});
        payment.replace();
        await pass(4000);
        expect.verifySteps(["start"]);
    });
});

describe("after a reload", () => {
    test("it is followed, and never charged", async () => {
        const { payment, answers } = make({ status: status("waiting") });
        await payment.resume();
        answers.status = status("done");
        await pass(2000);
        expect.verifySteps(["status", "status", "paid"]);
    });

    test("nothing had been sent: free again, after a moment of doubt", async () => {
        const { payment } = make({ status: { state: "none" } });
        await payment.resume();
        expect(payment.isOver).toBe(false);
        await pass(2000);
        await pass(2000);
        expect.verifySteps(["status", "status", "status", "not paid"]);
    });
});
