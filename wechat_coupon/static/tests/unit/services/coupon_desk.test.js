import { describe, expect, test } from "@odoo/hoot";
import { advanceTime, Deferred, mockDate } from "@odoo/hoot-mock";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { dialogActions } from "@point_of_sale/../tests/unit/utils";
import { addProductLineToOrder } from "@pos_loyalty/../tests/unit/utils";
import OrderPaymentValidation from "@point_of_sale/app/utils/order_payment_validation";
import { click, delay, fill } from "@odoo/hoot-dom";
import { makeServerError, patchWithCleanup } from "@web/../tests/web_test_helpers";
import {
    CODE,
    COUPON_ID,
    found,
    loseConnection,
    mockServer,
    openOrder,
    PAYMENT_CODE,
    PROGRAM_ID,
    settle,
    takePayments,
} from "../utils";

const { DateTime } = luxon;

definePosModels();

async function withCoupon(amount, terms = {}, answers = {}) {
    mockServer({ lookup: found(terms), ...answers });
    const till = await openOrder(amount);
    const result = await till.desk.activate(CODE);
    await settle();
    expect.verifySteps(["lookup"]);
    return { ...till, result, card: till.store.models["loyalty.card"].get(COUPON_ID) };
}

/** Odoo updates in turn, so when an update of ours ends, the one before has ended. */
async function updateRewards(store) {
    store.updateRewards();
    const ended = new Deferred();
    patchWithCleanup(store, {
        async orderUpdateLoyaltyPrograms() {
            await super.orderUpdateLoyaltyPrograms(...arguments);
            ended.resolve();
        },
    });
    store.updateRewards();
    await ended;
    await settle();
}

/** Run something that ends in a dialog, and press a button of it. */
const answering = (button, action) =>
    dialogActions(action, [() => click(`.modal-footer button:contains(${button})`)]);

describe("look up", () => {
    test("a coupon is loaded with its program and taken off the price", async () => {
        const { order, result, card } = await withCoupon(100);
        expect(result.applied).toBe(true);
        expect(result.message).toBe("");
        expect(order.priceIncl).toBe(80);
        expect(order.wechatSavedBy(card)).toBe(20);
        expect(order.wechatCouponSavings()).toEqual([
            { id: COUPON_ID, name: "20 off 0", code: "****7890", saved: 20 },
        ]);
    });

    test("the server hears which coupons are on the order already", async () => {
        const asked = [];
        mockServer({
            lookup: (args) => {
                asked.push(args.at(-1));
                return args[1] === CODE ? found() : found({ code: args[1], id: 7002 });
            },
        });
        const { desk } = await openOrder(100);
        await desk.activate(CODE);
        await desk.activate("OTHER");
        expect(asked).toEqual([[], [{ id: COUPON_ID, code: CODE }]]);
        expect.verifySteps(["lookup", "lookup"]);
    });

    test("what was refused beside a coupon is asked anew without it", async () => {
        const reasons = [{ code: "cannot_combine", message: "Not beside it." }];
        const alone = found({ code: "ALONE", id: 7002, programId: 9002 });
        mockServer({
            lookup: (args) => {
                if (args[1] === CODE) {
                    return found();
                }
                return args.at(-1).length ? { ...alone, eligible: false, reasons } : alone;
            },
        });
        const { desk, order } = await openOrder(100);
        await desk.activate(CODE);
        expect((await desk.activate("ALONE")).message).toBe("Not beside it.");
        await desk.remove(order.wechatGuardedCoupons(), order);
        expect((await desk.activate("ALONE")).applied).toBe(true);
        expect.verifySteps(["lookup", "lookup", "lookup"]);
    });

    test("two quick scans of a code are one question", async () => {
        mockServer({ lookup: found() });
        const { desk, order } = await openOrder(100);
        await Promise.all([desk.activate(CODE), desk.activate(CODE)]);
        await desk.activate(CODE);
        expect.verifySteps(["lookup"]);
        expect(order.priceIncl).toBe(80);
    });

    test("an unknown code changes nothing and says so", async () => {
        mockServer();
        const { desk, order } = await openOrder(100);
        const result = await desk.activate(CODE);
        expect(result.status).toBe("unknown");
        expect(result.message).toBe("No such code.");
        expect(order.wechatGuardedCoupons()).toHaveLength(0);
        expect.verifySteps(["lookup"]);
    });

    test("a used coupon is refused with the server's sentence", async () => {
        const reasons = [{ code: "used", message: "Used yesterday." }];
        const { order, result } = await withCoupon(100, { reasons });
        expect(result.status).toBe("refused");
        expect(result.message).toBe("Used yesterday.");
        expect(order.priceIncl).toBe(100);
        expect(order.wechatGuardedCoupons()).toHaveLength(0);
    });

    test("without a connection the cashier is told, and nothing changes", async () => {
        mockServer();
        const { desk, store, order } = await openOrder(100);
        loseConnection(store);
        const result = await desk.activate(CODE);
        expect(result.status).toBe("unreachable");
        expect(result.message).toInclude("No connection to the server");
        expect(result.message).toInclude("****7890");
        expect(order.priceIncl).toBe(100);
        expect(desk.busyCodes).toHaveLength(0);
        expect.verifySteps([]);
    });

    test("a code whose look-up broke can be scanned again", async () => {
        mockServer({ lookup: found() });
        const { desk, order } = await openOrder(100);
        let isBroken = true;
        patchWithCleanup(desk.server, {
            call() {
                if (isBroken) {
                    throw new TypeError("a mistake of ours");
                }
                return super.call(...arguments);
            },
        });
        await expect(desk.activate(CODE)).rejects.toThrow("a mistake of ours");
        expect(desk.busyCodes).toHaveLength(0);
        isBroken = false;
        await advanceTime(10);
        expect((await desk.activate(CODE)).applied).toBe(true);
        expect(order.priceIncl).toBe(80);
        expect.verifySteps(["lookup"]);
    });

    test("a payment code is never sent", async () => {
        mockServer();
        const { desk, store } = await openOrder(100);
        takePayments(store);
        const result = await desk.activate(PAYMENT_CODE);
        expect(result.message).toInclude("payment code");
        expect(await store.activateCode(PAYMENT_CODE)).toInclude("payment code");
        expect.verifySteps([]);
    });

    test("a second coupon of the same kind is refused", async () => {
        const { desk, order } = await withCoupon(100, {}, {
            lookup: ([, code]) =>
                found(code === CODE ? {} : { code, id: COUPON_ID + 1 }),
        });
        const result = await desk.activate("621234567891");
        expect(result.status).toBe("refused");
        expect(result.message).toInclude("Only one coupon");
        expect(order.priceIncl).toBe(80);
        expect.verifySteps(["lookup"]);
    });

    test("an order that was closed meanwhile gets no coupon", async () => {
        mockServer({ lookup: found() });
        const { desk, store, order } = await openOrder(100);
        const pending = desk.activate(CODE);
        store.addNewOrder();
        const result = await pending;
        expect(result.message).toInclude("Another order was opened");
        expect(order.wechatGuardedCoupons()).toHaveLength(0);
        expect.verifySteps(["lookup"]);
    });

    test("the code box of Odoo finds our coupons first", async () => {
        mockServer({ lookup: found() });
        const { store, order } = await openOrder(100);
        expect(await store.activateCode("6212 3456 7890")).toBe(true);
        expect(order.priceIncl).toBe(80);
        expect.verifySteps(["lookup"]);
    });
});

describe("conditions", () => {
    const reasons = [{ code: "below_threshold", message: "¥50.00 more." }];

    test("below its threshold a coupon waits, and applies itself later", async () => {
        const { store, order, result } = await withCoupon(50, { threshold: 100, reasons });
        expect(result.message).toBe("¥50.00 more.");
        expect(order.priceIncl).toBe(50);
        expect(order.wechatGuardedCoupons()).toHaveLength(1);
        expect(order.wechatAppliedCoupons()).toHaveLength(0);

        await addProductLineToOrder(store, order, { price_unit: 60 });
        await updateRewards(store);
        expect(order.priceIncl).toBe(90);
        expect(order.wechatAppliedCoupons()).toHaveLength(1);
    });

    test("a coupon leaves the price when the cart falls below its threshold", async () => {
        const { store, order, card } = await withCoupon(120, { threshold: 100 });
        expect(order.priceIncl).toBe(100);
        order.lines.find((line) => !line.is_reward_line).setUnitPrice(80);
        await updateRewards(store);
        expect(order.priceIncl).toBe(80);
        expect(order.wechatGuardedCoupons()).toHaveLength(1);
        expect(order.wechatShortfall(card)).toInclude("20.00");
    });

    test("the threshold counts the goods, not what other coupons leave", async () => {
        const { order, card } = await withCoupon(100, { threshold: 100 });
        expect(order.priceIncl).toBe(80);
        expect(order._canGenerateRewards(card.program_id)).toBe(true);
    });

    test("reading the order from the server does not lose the coupon", async () => {
        const { store, order } = await withCoupon(100);
        order._code_activated_coupon_ids = [["clear"]];
        await updateRewards(store);
        expect(order.priceIncl).toBe(80);
        expect(order.wechatAppliedCoupons()).toHaveLength(1);
    });

    test("the line of a refund is no use of the coupon", async () => {
        const { store, order } = await withCoupon(100);
        const refund = store.addNewOrder();
        await addProductLineToOrder(store, refund, {
            is_reward_line: true,
            coupon_id: order.wechatAppliedCoupons()[0],
            refunded_orderline_id: order.lines[0],
            price_unit: 20,
        });
        expect(refund.wechatAppliedCoupons()).toHaveLength(0);
        expect(refund.wechatSavedBy(order.wechatAppliedCoupons()[0])).toBe(0);
    });

    test("a coupon that waits is kept in the browser", async () => {
        const { store, order, card } = await withCoupon(50, { threshold: 100, reasons });
        const { condition } = store.data.opts.databaseTable["loyalty.card"];
        expect(condition(card)).toBe(false);
        order.uiState.wechatCouponIds = [];
        expect(condition(card)).toBe(undefined);
    });

    test("taking a coupon off restores the price and allows it again", async () => {
        const { desk, order, card } = await withCoupon(100);
        await desk.remove([card], order);
        expect(order.priceIncl).toBe(100);
        expect(order.wechatGuardedCoupons()).toHaveLength(0);
        expect.verifySteps([]);
        await desk.activate(CODE);
        await settle();
        expect(order.priceIncl).toBe(80);
        expect.verifySteps(["lookup"]);
    });
});

describe("payment gate", () => {
    test("an order without our coupons asks nobody", async () => {
        mockServer();
        const { desk, store, order } = await openOrder(100);
        await store.pay();
        expect(store.router.state.current).toBe("PaymentScreen");
        expect(await desk.mayValidate(order)).toBe(true);
        await desk.leavePayment(order);
        expect.verifySteps([]);
    });

    test("going to payment holds the coupons, going back lets them go", async () => {
        const { desk, store, order, card } = await withCoupon(100);
        await store.pay();
        expect.verifySteps(["reserve"]);
        expect(store.router.state.current).toBe("PaymentScreen");
        expect(order.wechatHoldsExactly([card])).toBe(true);
        await desk.leavePayment(order);
        expect.verifySteps(["release"]);
        expect(order.uiState.wechatReservation).toBe(null);
    });

    test("the server gets the coupons with their codes", async () => {
        let sent;
        const { desk, order } = await withCoupon(100, {}, {
            reserve: (args) => {
                sent = args;
                return { ok: true, expires_at: "2031-05-01T10:15:00Z", redemption_ids: [1] };
            },
        });
        await desk.reservation.reserve(order);
        const [, uuid, coupons, cart, partnerId] = sent;
        expect(uuid).toBe(order.uuid);
        expect(coupons).toEqual([{ id: COUPON_ID, code: CODE }]);
        expect(cart.total_fen).toBe(8000);
        expect(partnerId).toBe(false);
        expect.verifySteps(["reserve"]);
    });

    test("a refusal keeps the order open and offers to remove the coupon", async () => {
        const refusals = [{ coupon_id: COUPON_ID, code: "held", message: "Held by till 2." }];
        const { store, order } = await withCoupon(100, {}, { reserve: { ok: false, refusals } });
        await answering("Back to the order", () => store.pay());
        expect(store.router.state.current).not.toBe("PaymentScreen");
        expect(order.priceIncl).toBe(80);
        expect.verifySteps(["reserve"]);
        await answering("Remove the coupon", () => store.pay());
        expect(store.router.state.current).not.toBe("PaymentScreen");
        expect(order.priceIncl).toBe(100);
        expect(order.state).toBe("draft");
        expect.verifySteps(["reserve"]);
    });

    test("a quick payment passes the gate before the payment exists", async () => {
        const refusals = [{ coupon_id: COUPON_ID, code: "held", message: "Held by till 2." }];
        const { store, order } = await withCoupon(100, {}, { reserve: { ok: false, refusals } });
        const method = order.config.fast_payment_method_ids[0];
        await answering("Back to the order", () => store.validateOrderFast(method));
        expect(order.payment_ids).toHaveLength(0);
        expect(order.state).toBe("draft");
        expect.verifySteps(["reserve"]);
    });

    test("deleting an order lets its coupons go", async () => {
        const { store, order } = await withCoupon(100);
        await store.pay();
        expect.verifySteps(["reserve"]);
        await store.deleteOrders([order]);
        expect.verifySteps(["release"]);
    });

    test("deleting an order that was never at payment calls nobody", async () => {
        const { store, order } = await withCoupon(100);
        await store.deleteOrders([order]);
        expect.verifySteps([]);
    });

    test("money under way keeps the reservation", async () => {
        const { desk, store, order } = await withCoupon(100);
        await store.pay();
        expect.verifySteps(["reserve"]);
        const { data } = order.addPaymentline(store.models["pos.payment.method"].getFirst());
        data.setPaymentStatus("done");
        await desk.leavePayment(order);
        expect.verifySteps([]);
    });
});

describe("emergency", () => {
    const refusal = (can_release) => ({
        ok: false,
        refusals: [{ coupon_id: COUPON_ID, message: "No answer.", can_release }],
    });

    test("a manager releases a coupon that WeChat cannot be asked about", async () => {
        let released;
        const { desk, order } = await withCoupon(100, {}, {
            reserve: () =>
                released ? { ok: true, expires_at: "2031-05-01T10:15:00Z" } : refusal(true),
            managers: [{ id: 5, name: "Boss", is_self: false }],
            release_offline: (args) => {
                released = args[4];
                return { ok: true };
            },
        });
        const result = await dialogActions(() => desk.mayPay(order), [
            () => click(".o_wechat_pin"),
            () => fill("2468"),
            () => click(".o_wechat_reason"),
            () => fill("WeChat is down"),
            () => click(".modal-footer button:contains(Release)"),
        ]);
        expect(result).toBe(true);
        expect(released).toEqual({ manager_id: 5, pin: "2468", reason: "WeChat is down" });
        expect.verifySteps(["reserve", "managers", "release_offline", "reserve"]);
    });

    test("without a manager the coupon can only be removed", async () => {
        const { desk, order } = await withCoupon(100, {}, {
            reserve: () => refusal(true),
            managers: [],
        });
        const result = await dialogActions(() => desk.mayPay(order), [
            () => expect(".modal-footer button:contains(Release)").not.toBeEnabled(),
            () => click(".modal-footer button:contains(Remove)"),
        ]);
        await settle();
        expect(result).toBe(false);
        expect(order.wechatAppliedCoupons()).toHaveLength(0);
        expect.verifySteps(["reserve", "managers"]);
    });

    test("a template that is not released is refused as before", async () => {
        const { desk, order } = await withCoupon(100, {}, { reserve: () => refusal(false) });
        expect(await answering("Back", () => desk.mayPay(order))).toBe(false);
        expect(order.wechatAppliedCoupons()).toHaveLength(1);
        expect.verifySteps(["reserve"]);
    });
});

describe("validation gate", () => {
    test("a reservation is renewed, unless it was made this moment", async () => {
        mockDate("2031-05-01 10:00:00", 0);
        const { desk, order } = await withCoupon(100, {}, {
            reserve: { ok: true, expires_at: "2031-05-01T10:15:00Z" },
        });
        expect(await desk.mayPay(order)).toBe(true);
        expect(await desk.mayValidate(order)).toBe(true);
        expect.verifySteps(["reserve"]);
        mockDate("2031-05-01 10:01:00", 0);
        expect(await desk.mayValidate(order)).toBe(true);
        expect.verifySteps(["reserve"]);
    });

    test("offline: valid until the reservation ends, then refused", async () => {
        mockDate("2031-05-01 10:00:00", 0);
        const { desk, store, order } = await withCoupon(100, {}, {
            reserve: { ok: true, expires_at: "2031-05-01T10:15:00Z" },
        });
        expect(await desk.mayPay(order)).toBe(true);
        loseConnection(store);
        mockDate("2031-05-01 10:14:00", 0);
        expect(await desk.mayValidate(order)).toBe(true);
        mockDate("2031-05-01 10:16:00", 0);
        expect(await desk.mayValidate(order)).toBe(false);
        expect(order.state).toBe("draft");
        expect(order.priceIncl).toBe(80);
        expect.verifySteps(["reserve"]);
    });

    test("offline and never reserved: refused, the order stays", async () => {
        const { desk, store, order } = await withCoupon(100);
        loseConnection(store);
        expect(await desk.mayValidate(order)).toBe(false);
        expect(order.priceIncl).toBe(80);
        expect(order.state).toBe("draft");
        expect.verifySteps([]);
    });

    test("a customer who has paid by phone is never sent away", async () => {
        const refusals = [{ coupon_id: COUPON_ID, code: "held", message: "Held by till 2." }];
        const { desk, store, order } = await withCoupon(100, {}, {
            reserve: { ok: false, refusals },
        });
        const { data } = order.addPaymentline(store.models["pos.payment.method"].getFirst());
        data.setPaymentStatus("done");
        const finish = await answering("Finish the order", () => desk.mayValidate(order));
        expect(finish).toBe(true);
        expect.verifySteps(["reserve"]);
    });

    test("Odoo's validation asks the gate, also without a payment screen", async () => {
        const refusals = [{ coupon_id: COUPON_ID, code: "held", message: "Held by till 2." }];
        const { store, order } = await withCoupon(100, {}, { reserve: { ok: false, refusals } });
        const validation = new OrderPaymentValidation({
            pos: store,
            orderUuid: order.uuid,
            fastPaymentMethod: order.config.fast_payment_method_ids[0],
        });
        expect(await validation.validateOrder()).toBe(false);
        expect(order.state).toBe("draft");
        expect.verifySteps(["reserve"]);
    });

    test("a coupon taken off after the reservation is let go", async () => {
        const { desk, store, order, card } = await withCoupon(100);
        await store.pay();
        expect.verifySteps(["reserve"]);
        await desk.remove([card], order);
        expect.verifySteps(["release"]);
        expect(await desk.mayValidate(order)).toBe(true);
        expect.verifySteps([]);
    });
});

describe("after a reload", () => {
    test("a reservation that the server still holds is taken up", async () => {
        const expires_at = DateTime.utc().plus({ minutes: 9 }).toISO();
        const { desk, order, card } = await withCoupon(100, {}, {
            status: {
                ok: true,
                redemptions: [{ coupon_id: COUPON_ID, state: "reserved", expires_at }],
            },
        });
        await desk.resumePayment(order);
        expect(order.wechatHoldsExactly([card])).toBe(true);
        expect.verifySteps(["status"]);
    });

    test("one that has lapsed is made again", async () => {
        const { desk, order, card } = await withCoupon(100);
        await desk.resumePayment(order);
        expect(order.wechatHoldsExactly([card])).toBe(true);
        expect.verifySteps(["status", "reserve"]);
    });
});

describe("a network that is half open", () => {
    const expires_at = "2031-05-01T10:15:00Z";

    /** The next calls of a method get no answer before the test gives it. */
    function hold(known, name) {
        const late = new Deferred();
        known[name] = () => late;
        return late;
    }

    async function waitFor(pending, millis) {
        await settle();
        await advanceTime(millis);
        return pending;
    }

    async function tillWithCoupon() {
        const known = mockServer({ lookup: found() });
        const till = await openOrder(100);
        await till.desk.activate(CODE);
        await settle();
        expect.verifySteps(["lookup"]);
        const card = till.store.models["loyalty.card"].get(COUPON_ID);
        return { ...till, card, known };
    }

    test("a look-up ends", async () => {
        const known = mockServer();
        const { desk, order } = await openOrder(100);
        const late = hold(known, "lookup");
        const result = await waitFor(desk.activate(CODE), 9000);
        expect(result.status).toBe("unreachable");
        expect(result.offline).toBe(true);
        expect(desk.busyCodes).toHaveLength(0);
        late.resolve(found());
        await settle();
        expect(order.wechatGuardedCoupons()).toHaveLength(0);
        expect.verifySteps(["lookup"]);
    });

    test("the payment gate opens again, and a late answer counts", async () => {
        mockDate("2031-05-01 10:00:00", 0);
        const { desk, store, order, card, known } = await tillWithCoupon();
        const late = hold(known, "reserve");
        const paying = answering("Back to the order", () => store.pay());
        await waitFor(paying, 11000);
        expect(store.env.services.ui.isBlocked).toBe(false);
        expect(store.router.state.current).not.toBe("PaymentScreen");
        // The server may hold it, so there is something to let go.
        expect(order.uiState.wechatReservation).toMatchObject({ until: 0 });
        expect(order.wechatHoldsExactly([card])).toBe(false);
        late.resolve({ ok: true, expires_at, redemption_ids: [1] });
        await settle();
        expect(order.wechatHoldsExactly([card])).toBe(true);
        await desk.remove([card], order);
        expect(order.uiState.wechatReservation).toBe(null);
        expect.verifySteps(["reserve", "release"]);
    });

    test("what is held after the coupon was let go is let go again", async () => {
        const { desk, order, card, known } = await tillWithCoupon();
        const late = hold(known, "reserve");
        const { ok, offline } = await waitFor(desk.reservation.reserve(order), 11000);
        expect([ok, offline]).toEqual([false, true]);
        await desk.remove([card], order);
        expect.verifySteps(["reserve", "release"]);
        late.resolve({ ok: true, expires_at, redemption_ids: [1] });
        await settle();
        expect.verifySteps(["release"]);
    });

    test("validation goes on while the reservation lasts", async () => {
        mockDate("2031-05-01 10:00:00", 0);
        const { desk, order, known } = await tillWithCoupon();
        known.reserve = { ok: true, expires_at, redemption_ids: [1] };
        expect(await desk.mayPay(order)).toBe(true);
        await advanceTime(6000);
        hold(known, "reserve");
        expect(await waitFor(desk.mayValidate(order), 11000)).toBe(true);
        expect.verifySteps(["reserve", "reserve"]);
    });

    /** @returns {Promise} fails when something waits for an answer that does not come */
    const withoutWaiting = (pending) =>
        Promise.race([
            pending,
            delay(3000).then(() => {
                throw new Error("it waits for the server");
            }),
        ]);

    /** An order that goes to payment and whose release gets no answer. */
    async function heldWithoutRelease() {
        const till = await tillWithCoupon();
        await till.desk.reservation.reserve(till.order);
        expect.verifySteps(["reserve"]);
        return { ...till, late: hold(till.known, "release") };
    }

    test("deleting an order does not wait for its coupons", async () => {
        const { store, order } = await heldWithoutRelease();
        expect(await withoutWaiting(store.deleteOrders([order]))).toBe(true);
        await settle();
        expect.verifySteps(["release"]);
        expect(store.models["pos.order"].getBy("uuid", order.uuid)).toBe(undefined);
    });

    test("the gates do not wait for a coupon that is not used any more", async () => {
        const { desk, order } = await heldWithoutRelease();
        for (const line of order.lines.filter(({ is_reward_line }) => is_reward_line)) {
            line.delete();
        }
        expect(order.wechatAppliedCoupons()).toHaveLength(0);
        expect(await withoutWaiting(desk.mayPay(order))).toBe(true);
        order.uiState.wechatReservation = { ids: [COUPON_ID], until: 0, at: 0 };
        expect(await withoutWaiting(desk.mayValidate(order))).toBe(true);
        await settle();
        expect(order.uiState.wechatReservation).toBe(null);
        expect.verifySteps(["release"]);
    });

    test("a quick payment that comes to nothing does not wait", async () => {
        const { store, order } = await heldWithoutRelease();
        patchWithCleanup(OrderPaymentValidation.prototype, { validateOrder: () => false });
        const [method] = order.config.fast_payment_method_ids;
        await withoutWaiting(store.validateOrderFast(method));
        await settle();
        expect.verifySteps(["reserve", "release"]);
    });

    test("letting go ends", async () => {
        const { desk, order, known } = await tillWithCoupon();
        await desk.reservation.reserve(order);
        hold(known, "release");
        await waitFor(desk.release(order), 9000);
        expect(order.uiState.wechatReservation).toBe(null);
        expect.verifySteps(["reserve", "release"]);
    });
});

describe("an error of the server", () => {
    async function sentence(type, message) {
        const known = mockServer();
        const { desk } = await openOrder(100);
        known.lookup = () => {
            throw makeServerError({ type, message });
        };
        const result = await desk.activate(CODE);
        expect.verifySteps(["lookup"]);
        return result.message;
    }

    test("its own sentence is shown when it is meant for users", async () => {
        const said = await sentence("UserError", "Ask the manager.");
        expect(said).toBe("Ask the manager.");
    });

    test("the text of a programming error is not", async () => {
        const said = await sentence("ValueError", "KeyError: 'x'");
        expect(said).toInclude("The server could not answer");
        expect(said).not.toInclude("KeyError");
    });
});

describe("on the payment screen", () => {
    test("a scanned coupon lowers the amount that was to be paid", async () => {
        mockServer({ lookup: found() });
        const { desk, store, order } = await openOrder(100);
        await store.pay();
        const method = store.models["pos.payment.method"].getFirst();
        order.addPaymentline(method);
        expect(order.payment_ids[0].amount).toBe(100);
        await desk.activateWhilePaying(CODE, order);
        expect(order.priceIncl).toBe(80);
        expect(order.payment_ids[0].amount).toBe(80);
        expect.verifySteps(["lookup", "reserve"]);
    });

    test("one that another till holds is taken off again", async () => {
        const refusals = [{ coupon_id: COUPON_ID, code: "held", message: "Held by till 2." }];
        mockServer({ lookup: found(), reserve: { ok: false, refusals } });
        const { desk, store, order } = await openOrder(100);
        await store.pay();
        await desk.activateWhilePaying(CODE, order);
        await settle();
        expect(order.priceIncl).toBe(100);
        expect(order.wechatGuardedCoupons()).toHaveLength(0);
        expect.verifySteps(["lookup", "reserve"]);
    });

    test("taking one off tells when the others cannot be held", async () => {
        const OTHER = "621234567891";
        const others = { code: OTHER, id: COUPON_ID + 1, programId: PROGRAM_ID + 1, amount: 5 };
        const known = mockServer({ lookup: ([, code]) => found(code === CODE ? {} : others) });
        const { desk, store, order } = await openOrder(100);
        await desk.activate(CODE);
        await desk.activate(OTHER);
        await settle();
        expect(order.priceIncl).toBe(75);
        await store.pay();
        expect.verifySteps(["lookup", "lookup", "reserve"]);
        const refusals = [{ coupon_id: COUPON_ID + 1, code: "void", message: "Made invalid." }];
        known.reserve = { ok: false, refusals };
        patchWithCleanup(store.dialog, { add: (_dialog, { body }) => expect.step(body) });
        await desk.remove([store.models["loyalty.card"].get(COUPON_ID)], order);
        expect.verifySteps(["reserve", "5 off 0 (****7891): Made invalid."]);
    });

    test("not while a payment is under way", async () => {
        mockServer({ lookup: found() });
        const { desk, store, order } = await openOrder(100);
        await store.pay();
        const { data } = order.addPaymentline(store.models["pos.payment.method"].getFirst());
        data.setPaymentStatus("waiting");
        await desk.activateWhilePaying(CODE, order);
        expect(order.wechatGuardedCoupons()).toHaveLength(0);
        expect.verifySteps([]);
    });
});
