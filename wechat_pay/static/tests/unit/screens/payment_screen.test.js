import { describe, destroy, expect, test } from "@odoo/hoot";
import { click } from "@odoo/hoot-dom";
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
    expect.verifySteps([`start codepay ${CODE}`, "asked"]);
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
