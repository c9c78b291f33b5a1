import { expect } from "@odoo/hoot";
import { animationFrame, tick } from "@odoo/hoot-dom";
import { addProductLineToOrder } from "@pos_loyalty/../tests/unit/utils";
import { setupPosEnv } from "@point_of_sale/../tests/unit/utils";
import { onRpc, patchWithCleanup } from "@web/../tests/web_test_helpers";

const { DateTime } = luxon;

export const PROGRAM_ID = 9001;
export const COUPON_ID = 7001;
export const CODE = "621234567890";
export const PAYMENT_CODE = "134567890123456789";

/** From now on the till has a payment method of WeChat Pay. */
export function takePayments(store) {
    store.config.payment_method_ids[0].use_payment_terminal = "wechat_pay";
}

/** What the server sends for a program that the till does not have. */
export function programRecords({ id = PROGRAM_ID, threshold = 0, amount = 20, linked = false } = {}) {
    return {
        "loyalty.program": [
            {
                id,
                name: `${amount} off ${threshold}`,
                trigger: "with_code",
                applies_on: "current",
                program_type: "coupons",
                pricelist_ids: [],
                date_from: false,
                date_to: false,
                limit_usage: false,
                max_usage: 0,
                total_order_count: 0,
                is_nominative: false,
                portal_visible: false,
                portal_point_name: "Coupon point(s)",
                trigger_product_ids: [],
                rule_ids: [id],
                reward_ids: [id],
                wechat_guarded: true,
                wechat_needs_payment: linked,
            },
        ],
        "loyalty.rule": [
            {
                id,
                program_id: id,
                valid_product_ids: [],
                any_product: true,
                currency_id: 1,
                reward_point_amount: 1,
                reward_point_split: false,
                reward_point_mode: "order",
                minimum_qty: 0,
                minimum_amount: threshold,
                minimum_amount_tax_mode: "incl",
                mode: "auto",
                code: false,
            },
        ],
        "loyalty.reward": [
            {
                id,
                description: `${amount} off`,
                program_id: id,
                reward_type: "discount",
                required_points: 1,
                clear_wallet: false,
                currency_id: 1,
                discount: amount,
                discount_mode: "per_order",
                discount_applicability: "order",
                all_discount_product_ids: [],
                is_global_discount: false,
                discount_max_amount: 0,
                discount_line_product_id: 1,
                reward_product_id: false,
                multi_product: false,
                reward_product_ids: [],
                reward_product_qty: 1,
                reward_product_uom_id: false,
                reward_product_domain: "null",
            },
        ],
    };
}

/** An answer of `wechat_coupon_lookup`. */
export function found({ code = CODE, id = COUPON_ID, programId = PROGRAM_ID, ...more } = {}) {
    const { reasons = [], ...terms } = more;
    return {
        ok: true,
        coupon: {
            id,
            code,
            program_id: programId,
            template_name: "20 off",
            points: 1,
            expiration_date: "2031-05-06",
            partner_id: false,
            partner_name: "",
        },
        eligible: !reasons.length,
        reasons,
        payload: {},
        load: programRecords({ id: programId, ...terms }),
    };
}

/**
 * A server that knows what the test says; each call is a step.
 *
 * @param {Object} answers by name of the method, or functions of the arguments
 */
export function mockServer(answers = {}) {
    const known = {
        lookup: { ok: false, code: "unknown_code", message: "No such code.", is_coupon: false },
        reserve: {
            ok: true,
            expires_at: DateTime.utc().plus({ minutes: 15 }).toISO({ includeOffset: false }) + "Z",
            redemption_ids: [1],
        },
        release: { ok: true, released: 1 },
        status: { ok: true, redemptions: [] },
        is_code: false,
        ...answers,
    };
    for (const name of Object.keys(known)) {
        onRpc("pos.config", `wechat_coupon_${name}`, ({ args }) => {
            expect.step(name);
            const answer = known[name];
            return typeof answer === "function" ? answer(args) : answer;
        });
    }
    return known;
}

/** The till finds no server any more. */
export function loseConnection(store) {
    store.data.network.offline = true;
}

/** Hoot's page has no address of a till, so the router stays where it is. */
function followRoutes(store) {
    patchWithCleanup(store.router, {
        navigate(name, params) {
            Object.assign(this.state, { current: name, params });
        },
    });
}

/** Let what was started come to its end. */
export async function settle() {
    for (let turn = 0; turn < 10; turn++) {
        await tick();
    }
    await animationFrame();
}

/** A till with one order of the given amount. */
export async function openOrder(amount) {
    const store = await setupPosEnv();
    followRoutes(store);
    const order = store.addNewOrder();
    if (amount) {
        await addProductLineToOrder(store, order, { price_unit: amount });
    }
    return { store, order, desk: store.wechatCoupon };
}
