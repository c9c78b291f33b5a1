import { describe, destroy, expect, test } from "@odoo/hoot";
import { click } from "@odoo/hoot-dom";
import { ConnectionLostError } from "@web/core/network/rpc";
import { advanceTime, Deferred } from "@odoo/hoot-mock";
import { mountWithCleanup, patchWithCleanup } from "@web/../tests/web_test_helpers";
import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";
import OrderPaymentValidation from "@point_of_sale/app/utils/order_payment_validation";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { toFen } from "@wechat_pay/app/utils/fen";
import { CODE, mockServer, openPayment, openTill, settle, statusOf } from "../utils";

definePosModels();

const statusOfLine = (order) => order.payment_ids.map((line) => line.getPaymentStatus());

describe("a code", () => {
    test("is charged at once: the line is made for it", async () => {
        const sent = [];
        mockServer({
            start: (payment) => {
                sent.push(payment);
                return statusOf("done", { amount: payment.amount });
            },
        });
        const { desk, order, due } = await openPayment();
        expect(desk.onPaymentCode(CODE)).toBe(true);
        await settle();
        expect.verifySteps([`start codepay ${CODE}`]);
        expect(sent[0]).toMatchObject({
            order: order.uuid,
            line: order.payment_ids[0].uuid,
            amount: toFen(due),
            total: toFen(due),
        });
        const [line] = order.payment_ids;
        expect(line.getPaymentStatus()).toBe("done");
        expect([line.transaction_id, line.payment_ref_no, line.card_type]).toEqual([
            "4200001",
            "n1",
            "WeChat Pay",
        ]);
        expect(line.ticket).toBe("WeChat Pay number: 4200001");
        expect(JSON.stringify(line.raw)).not.toInclude(CODE);
        expect(".o_wechat_pay_done").toHaveCount(1);
    });

    test("goes to the line that waits for it, with the amount that was entered", async () => {
        const amounts = [];
        mockServer({
            start: (payment) => {
                amounts.push(payment.amount);
                return statusOf("done", { amount: payment.amount });
            },
        });
        const { desk, order, screen, method } = await openPayment();
        await screen.addNewPaymentLine(method);
        await settle();
        expect(".o_wechat_pay_title").toHaveText("Scan the customer's payment code");
        expect.verifySteps([]);
        order.payment_ids[0].setAmount(1.5);
        desk.onPaymentCode(CODE);
        await settle();
        expect(amounts).toEqual([150]);
        // Another customer pays the rest.
        desk.onPaymentCode(CODE);
        await settle();
        expect(statusOfLine(order)).toEqual(["done", "done"]);
        expect.verifySteps([`start codepay ${CODE}`, `start codepay ${CODE}`]);
    });

    test("is never charged for more than is due", async () => {
        mockServer();
        const { desk, order, screen, method, due } = await openPayment();
        await screen.addNewPaymentLine(method);
        order.payment_ids[0].setAmount(due + 0.01);
        desk.onPaymentCode(CODE);
        await settle();
        expect.verifySteps(["The amount is more than what is still due. Enter it again."]);
        expect(statusOfLine(order)).toEqual(["retry"]);
    });

    test("is charged nowhere else", async () => {
        mockServer();
        const { desk, order } = await openTill();
        expect(desk.onPaymentCode(CODE)).toBe(true);
        await settle();
        expect.verifySteps(["This is a payment code. Go to payment to use it."]);
        expect(order.payment_ids).toHaveLength(0);
    });

    test("of a product that the till has is the product's", async () => {
        mockServer();
        const { desk, store } = await openPayment();
        store.models["product.product"].get(5).update({ barcode: CODE });
        expect(desk.onPaymentCode(CODE)).toBe(false);
        expect.verifySteps([]);
    });

    test("is anybody's at a till without WeChat Pay", async () => {
        mockServer();
        const { desk, method } = await openPayment();
        method.use_payment_terminal = false;
        expect(desk.onPaymentCode(CODE)).toBe(false);
        expect(desk.onPaymentCode("284567890123456789")).toBe(false);
        expect.verifySteps([]);
    });

    test("is the nomenclature's first, where it cannot be charged", async () => {
        mockServer();
        const { desk, order } = await openTill();
        expect(desk.onPaymentCode(CODE, { type: "price" })).toBe(false);
        expect(desk.onPaymentCode(CODE, [{ type: "lot" }, { type: "product" }])).toBe(false);
        expect.verifySteps([]);
        const vague = ["product", "error", "lot"].map((type) => ({ type }));
        for (const parsed of [...vague, [{ type: "lot" }], null]) {
            expect(desk.onPaymentCode(CODE, parsed)).toBe(true);
            expect.verifySteps(["This is a payment code. Go to payment to use it."]);
        }
        await mountWithCleanup(PaymentScreen, { props: { orderUuid: order.uuid } });
        await settle();
        // The label of a scale looks like an Alipay code.
        expect(desk.onPaymentCode("284567890123456789", { type: "weight" })).toBe(false);
        expect.verifySteps([]);
    });

    test("leaves the amount alone: its key strokes are dropped", async () => {
        mockServer({ start: ({ amount }) => statusOf("done", { amount }) });
        const { desk, order, screen, method, store } = await openPayment();
        await screen.addNewPaymentLine(method);
        order.payment_ids[0].setAmount(1.5);
        for (const key of CODE) {
            store.numberBuffer.sendKey(key);
        }
        desk.onPaymentCode(CODE);
        await settle();
        expect(order.payment_ids[0].amount).toBe(1.5);
        expect.verifySteps([`start codepay ${CODE}`]);
    });

    test("of another wallet gets a sentence", async () => {
        mockServer();
        const { desk, order } = await openPayment();
        expect(desk.onPaymentCode("284567890123456789")).toBe(true);
        expect(desk.onPaymentCode("6223456789012345678")).toBe(true);
        await settle();
        expect.verifySteps([
            "This is an Alipay code. Ask the customer for the payment code of WeChat.",
            "This is a UnionPay code. Ask the customer for the payment code of WeChat.",
        ]);
        expect(order.payment_ids).toHaveLength(0);
    });

    test("is not for a shop that shows a QR code only", async () => {
        mockServer();
        const { desk, order } = await openPayment({ ways: "native" });
        desk.onPaymentCode(CODE);
        await settle();
        expect.verifySteps(["This is a payment code of WeChat; this shop does not take it."]);
        expect(order.payment_ids).toHaveLength(0);
    });

    test("scanned twice is charged once", async () => {
        const answer = new Deferred();
        mockServer({ start: () => answer });
        const { desk, order } = await openPayment();
        desk.onPaymentCode(CODE);
        await settle();
        desk.onPaymentCode(CODE);
        await settle();
        expect.verifySteps([
            `start codepay ${CODE}`,
            "A payment is under way. Wait for it, or cancel it and scan again.",
        ]);
        answer.resolve(statusOf("done", { amount: toFen(order.totalDue) }));
        await settle();
        expect(statusOfLine(order)).toEqual(["done"]);
    });

    test("is not needed when nothing is left to be paid", async () => {
        mockServer();
        const { desk, order, screen, store } = await openPayment();
        await screen.addNewPaymentLine(store.models["pos.payment.method"].get(1));
        desk.onPaymentCode(CODE);
        await settle();
        expect.verifySteps(["Nothing is left to be paid. Remove another payment first."]);
        expect(order.payment_ids).toHaveLength(1);
    });
});

describe("a QR code", () => {
    test("is shown here and to the customer, until it is over", async () => {
        const qr = statusOf("waiting", { way: "native", code_url: "weixin://wxpay/x" });
        const answers = mockServer({ start: qr, status: qr });
        const { order, screen, method } = await openPayment();
        await screen.addNewPaymentLine(method);
        await settle();
        await click(".o_wechat_pay_show_qr");
        await settle();
        const [line] = order.payment_ids;
        expect(".o_wechat_pay_qr img").toHaveCount(1);
        expect(line.qrPaymentData.qrCode).toMatch(/^data:image/);
        answers.status = statusOf("done", { way: "native", amount: toFen(order.totalDue) });
        await advanceTime(2000);
        await settle();
        expect(".o_wechat_pay_qr img").toHaveCount(0);
        expect(line.qrPaymentData).toBe(null);
        expect(line.getPaymentStatus()).toBe("done");
        expect.verifySteps(["start native", "status"]);
    });

    test("comes by itself where nothing else is taken", async () => {
        mockServer({ start: statusOf("waiting", { way: "native", code_url: "weixin://x" }) });
        const { screen, method } = await openPayment({ ways: "native" });
        await screen.addNewPaymentLine(method);
        await settle();
        expect(".o_wechat_pay_qr img").toHaveCount(1);
        expect.verifySteps(["start native"]);
    });

    test("is given up when the customer shows a code", async () => {
        mockServer({
            start: ({ way, amount }) =>
                way === "native"
                    ? statusOf("waiting", { way, code_url: "weixin://x", number: "n1" })
                    : statusOf("done", { amount, number: "n2" }),
        });
        const { desk, order, screen, method } = await openPayment();
        await screen.addNewPaymentLine(method);
        await settle();
        await click(".o_wechat_pay_show_qr");
        await settle();
        desk.onPaymentCode(CODE);
        await settle();
        expect(statusOfLine(order)).toEqual(["done"]);
        expect(order.payment_ids[0].payment_ref_no).toBe("n2");
        expect.verifySteps(["start native", `start codepay ${CODE}`]);
    });
});

describe("under way", () => {
    const waiting = statusOf("waiting", { message: "Password." });

    async function underWay(answers) {
        const known = mockServer({ start: waiting, status: waiting, ...answers });
        const till = await openPayment();
        till.desk.onPaymentCode(CODE);
        await settle();
        expect.verifySteps([`start codepay ${CODE}`]);
        return { ...till, known, line: till.order.payment_ids[0] };
    }

    test("the order is neither finished nor deleted", async () => {
        const { store, order } = await underWay();
        const validation = new OrderPaymentValidation({ pos: store, orderUuid: order.uuid });
        expect(await validation.validateOrder()).toBe(false);
        expect(await store._onBeforeDeleteOrder(order)).toBe(false);
        expect(order.payment_ids).toHaveLength(1);
    });

    test("deleting the line cancels first", async () => {
        const { screen, order, line, known } = await underWay();
        known.cancel = { ...waiting, state: "done", amount: toFen(line.amount) };
        await screen.deletePaymentLine(line.uuid);
        expect(statusOfLine(order)).toEqual(["done"]);
        await screen.deletePaymentLine(line.uuid);
        expect(order.payment_ids).toHaveLength(1);
        expect.verifySteps(["cancel"]);
    });

    test("what was cancelled goes away", async () => {
        const { screen, order, line, known } = await underWay();
        known.cancel = { ...waiting, state: "cancelled" };
        await screen.deletePaymentLine(line.uuid);
        expect(order.payment_ids).toHaveLength(0);
        expect.verifySteps(["cancel"]);
    });

    test("what is over is forgotten when its order is gone", async () => {
        const { desk, screen, order, line, known } = await underWay();
        known.cancel = { ...waiting, state: "cancelled" };
        await screen.deletePaymentLine(line.uuid);
        expect(Object.keys(desk.payments)).toEqual([line.uuid]);
        desk.onPaymentCode(CODE);
        await settle();
        expect(Object.keys(desk.payments)).toEqual([order.payment_ids[0].uuid]);
        expect.verifySteps(["cancel", `start codepay ${CODE}`]);
    });

    test("the cashier may leave, and hears of it", async () => {
        const { screen, order, known, store } = await underWay();
        const amount = store.env.utils.formatCurrency(order.totalDue);
        destroy(screen);
        known.status = { ...waiting, state: "done", amount: toFen(order.totalDue) };
        await advanceTime(2000);
        await settle();
        expect(statusOfLine(order)).toEqual(["done"]);
        expect.verifySteps([
            "status",
            `${order.getName()} has been paid with WeChat: ${amount}. Open it to finish it.`,
        ]);
    });

    test("other orders can be paid meanwhile", async () => {
        const { store } = await underWay();
        expect(Boolean(store.paymentTerminalInProgress)).toBe(false);
    });
});

describe("a line that was sent and seems to be free", () => {
    const failed = statusOf("failed", { message: "Not enough money." });

    async function refused(answers) {
        const known = mockServer({ start: failed, cancel: failed, ...answers });
        const till = await openPayment();
        patchWithCleanup(till.store.dialog, { add: (_, { body }) => expect.step(`told: ${body}`) });
        till.desk.onPaymentCode(CODE);
        await settle();
        expect.verifySteps([`start codepay ${CODE}`]);
        expect(statusOfLine(till.order)).toEqual(["retry"]);
        return { ...till, known, line: till.order.payment_ids[0] };
    }

    test("is cancelled before it is deleted", async () => {
        const { screen, order, line } = await refused();
        await screen.deletePaymentLine(line.uuid);
        expect(order.payment_ids).toHaveLength(0);
        expect.verifySteps(["cancel"]);
    });

    test("that turns out to be paid becomes paid", async () => {
        const { screen, order, line, known } = await refused();
        known.cancel = statusOf("done", { amount: toFen(line.amount) });
        await screen.deletePaymentLine(line.uuid);
        expect(statusOfLine(order)).toEqual(["done"]);
        expect(line.transaction_id).toBe("4200001");
        expect.verifySteps(["cancel"]);
    });

    test("stays as long as the server does not answer, unless it has said no before", async () => {
        const { screen, order, line, desk } = await refused();
        desk.paymentOf(line.uuid).isRefused = false;
        patchWithCleanup(line.payment_method_id.payment_terminal.server, {
            async cancel() {
                throw new ConnectionLostError();
            },
        });
        await screen.deletePaymentLine(line.uuid);
        expect(order.payment_ids).toHaveLength(1);
        expect.verifySteps([
            "No connection to the server: whether the customer has paid is not known. The payment stays here until the server answers.",
        ]);
        desk.paymentOf(line.uuid).isRefused = true;
        await screen.deletePaymentLine(line.uuid);
        expect(order.payment_ids).toHaveLength(0);
        expect.verifySteps([]);
    });

    test("goes with its order only when the server agrees", async () => {
        const { store, order, line, known } = await refused();
        known.cancel = known.status = statusOf("waiting");
        expect(await store._onBeforeDeleteOrder(order)).toBe(false);
        expect.verifySteps([
            "cancel",
            "told: A WeChat payment of this order is under way. Wait for it, or cancel it on the payment screen.",
        ]);
        known.status = statusOf("failed");
        await advanceTime(2000);
        await settle();
        known.cancel = failed;
        expect(await store._onBeforeDeleteOrder(order)).toBe(true);
        expect.verifySteps(["status", "cancel"]);
        known.cancel = statusOf("done", { amount: toFen(line.amount) });
        expect(await store._onBeforeDeleteOrder(order)).toBe(false);
        expect(statusOfLine(order)).toEqual(["done"]);
        expect(await store._onBeforeDeleteOrder(order)).toBe(false);
        expect.verifySteps([
            "cancel",
            "told: Money of this order has moved with WeChat. Finish the order; what the customer does not want can then be refunded.",
        ]);
    });

    test("is not dropped by the validation of the order", async () => {
        const { store, order, line, known } = await refused();
        known.cancel = statusOf("done", { amount: toFen(line.amount) });
        const validation = new OrderPaymentValidation({ pos: store, orderUuid: order.uuid });
        expect(await validation.validateOrder()).toBe(false);
        expect(statusOfLine(order)).toEqual(["done"]);
        expect.verifySteps(["cancel"]);
    });
});

describe("money that goes back", () => {
    async function openRefund(answers) {
        const known = mockServer(answers);
        const till = await openTill();
        till.order.is_refund = true;
        till.order.lines.forEach((line) => line.setQuantity(-line.qty));
        const screen = await mountWithCleanup(PaymentScreen, {
            props: { orderUuid: till.order.uuid },
        });
        patchWithCleanup(till.method.payment_terminal, {
            _alert: (body) => expect.step(`told: ${body}`),
        });
        await screen.addNewPaymentLine(till.method);
        const [line] = till.order.payment_ids;
        return { ...till, screen, known, line, due: -toFen(line.amount) };
    }

    const refundedOf = (state, amount, more = {}) => ({
        state,
        amount,
        message: "",
        numbers: ["r1", "r2"],
        ...more,
    });

    test("one part fails: the line has what the server says, the rest is open", async () => {
        const { screen, line, order, due, store } = await openRefund({
            refund: refundedOf("failed", 100, { message: "No balance." }),
        });
        const [part, all] = [1, due / 100].map((yuan) => store.env.utils.formatCurrency(yuan));
        await screen.sendPaymentRequest(line);
        expect([line.amount, line.getPaymentStatus()]).toEqual([-1, "done"]);
        expect(line.payment_ref_no).toBe("r1 r2");
        expect(toFen(order.remainingDue)).toBe(100 - due);
        expect.verifySteps([
            "refund",
            `told: Only ${part} of ${all} goes back with WeChat. Choose how the rest goes back. No balance.`,
        ]);
    });

    test("nothing goes back: the line may be deleted", async () => {
        const { screen, line, order } = await openRefund({
            refund: refundedOf("failed", 0, { message: "No balance." }),
        });
        await screen.sendPaymentRequest(line);
        expect(line.getPaymentStatus()).toBe("retry");
        await screen.deletePaymentLine(line.uuid);
        expect(order.payment_ids).toHaveLength(0);
        expect.verifySteps(["refund"]);
    });

    test("nobody answers: the cashier may go on after a minute, and nothing is lost", async () => {
        const { screen, line, desk, method, order } = await openRefund();
        patchWithCleanup(method.payment_terminal.server, {
            async refund() {
                throw new ConnectionLostError();
            },
        });
        screen.sendPaymentRequest(line);
        for (let second = 0; second < 65; second += 5) {
            expect(desk.isUnderWay(line)).toBe(true);
            await advanceTime(5000);
            await settle();
        }
        expect(line.getPaymentStatus()).toBe("retry");
        expect(".o_wechat_pay_text").toHaveText(/You can go on with the next customer/);
        await screen.deletePaymentLine(line.uuid);
        expect(order.payment_ids).toHaveLength(1);
        expect.verifySteps([
            "told: Whether the money has gone back is not known. Press Refund again to find out.",
        ]);
        method.payment_terminal.forceRefund(line);
        await settle();
        expect(line.getPaymentStatus()).toBe("done");
        expect(".o_wechat_pay_unproven").toHaveCount(1);
        expect.verifySteps(["Not confirmed by WeChat; it is checked later."]);
    });

    test("is asked for before the order is finished", async () => {
        const { order, store } = await openRefund();
        const validation = new OrderPaymentValidation({ pos: store, orderUuid: order.uuid });
        expect(await validation.validateOrder()).toBe(false);
        expect.verifySteps(["Press Refund first: no money has gone back yet."]);
    });
});

describe("after a reload", () => {
    async function reloaded(paymentStatus, answers) {
        const known = mockServer(answers);
        const till = await openTill();
        const { data: line } = till.order.addPaymentline(till.method);
        line.setPaymentStatus(paymentStatus);
        till.desk.resumeAll();
        await settle();
        return { ...till, line, known };
    }

    test("a payment is followed to its end", async () => {
        const { line, order } = await reloaded("waiting", {
            status: () => statusOf("done", { amount: 100 }),
        });
        expect(line.getPaymentStatus()).toBe("done");
        // What was paid counts, whatever the line says.
        expect(line.amount).toBe(1);
        expect(order.payment_ids).toHaveLength(1);
        expect.verifySteps([
            "status",
            `${order.getName()} has been paid with WeChat: $\u00a01.00. Open it to finish it.`,
        ]);
    });

    test("a line that seems free is looked at once, and never charged", async () => {
        const { desk, line } = await reloaded("pending", { status: statusOf("waiting") });
        expect.verifySteps([]);
        desk.resume([line]);
        await settle();
        expect(line.getPaymentStatus()).toBe("waiting");
        expect.verifySteps(["status"]);
    });

    test("a free line stays free", async () => {
        const { desk, line } = await reloaded("pending", { status: { state: "none" } });
        desk.resume([line]);
        await settle();
        expect(line.getPaymentStatus()).toBe("pending");
        expect.verifySteps(["status"]);
    });
});

test("a force is asked about, and finishes the line without a transaction", async () => {
    mockServer({ start: statusOf("unknown"), status: statusOf("unknown") });
    const { desk, order, screen } = await openPayment();
    patchWithCleanup(screen.dialog, {
        add: (component, { confirm }) => {
            expect.step("asked");
            confirm();
            return () => {};
        },
    });
    desk.onPaymentCode(CODE);
    await settle();
    const [line] = order.payment_ids;
    await screen.sendForceDone(line);
    await settle();
    expect(line.getPaymentStatus()).toBe("done");
    expect(Boolean(line.transaction_id)).toBe(false);
    expect(line.ticket).toInclude("Not confirmed by WeChat");
    expect(".o_wechat_pay_title").toHaveText("Not confirmed by WeChat");
    expect(".o_wechat_pay_text").toHaveText(/checked later/);
    expect.verifySteps([
        `start codepay ${CODE}`,
        "asked",
        "Not confirmed by WeChat; it is checked later.",
    ]);
    // From now on the till neither asks nor cancels.
    desk.onChange({ line: line.uuid });
    await screen.deletePaymentLine(line.uuid);
    await screen.sendPaymentCancel(line);
    desk.resume([line]);
    await advanceTime(10000);
    await settle();
    expect(statusOfLine(order)).toEqual(["done"]);
    expect.verifySteps([]);
});

test("leaving for another order's screen keeps that screen", async () => {
    mockServer();
    const { desk, screen, order, store } = await openPayment();
    const other = store.addNewOrder();
    const second = await mountWithCleanup(PaymentScreen, { props: { orderUuid: other.uuid } });
    destroy(screen);
    expect(desk.screen.currentOrder.uuid).toBe(other.uuid);
    destroy(second);
    expect(desk.screen).toBe(null);
    expect(order.payment_ids).toHaveLength(0);
});
