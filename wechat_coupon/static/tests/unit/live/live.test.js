import { advanceTime, animationFrame, expect, test } from "@odoo/hoot";
import {
    getService,
    mountWithCleanup,
    onRpc,
    patchWithCleanup,
} from "@web/../tests/web_test_helpers";
import { ConnectionLostError } from "@web/core/network/rpc";
import { WebClient } from "@web/webclient/webclient";
import { CouponLive } from "@wechat_coupon/live/live";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { setupPosEnv } from "@point_of_sale/../tests/unit/utils";

definePosModels();

const COUNT = ".o_wechat_coupon_live_count";

function figures(count) {
    return {
        totals: { count, saved: 10 * count, sold: 90 * count, held: 0, attention: 0 },
        currency_id: 1,
        hours: new Array(24).fill(0),
        shops: [],
        templates: [],
        latest: [],
    };
}

async function open(answer) {
    // The services of the till start in every environment of this suite.
    await setupPosEnv();
    onRpc("coupon.redemption", "get_live_data", () => answer());
    let live = null;
    patchWithCleanup(CouponLive.prototype, {
        setup() {
            super.setup();
            live = this;
        },
    });
    await mountWithCleanup(WebClient);
    await getService("action").doAction({ type: "ir.actions.client", tag: "wechat_coupon.live" });
    return live;
}

test("news is shown, and many at once are asked for once", async () => {
    let count = 0;
    const live = await open(() => {
        expect.step("asked");
        return figures(++count);
    });
    expect.verifySteps(["asked"]);
    expect(COUNT).toHaveText("1");
    for (let i = 0; i < 20; i++) {
        live.onMessage();
    }
    await advanceTime(1000);
    await animationFrame();
    expect.verifySteps(["asked"]);
    expect(COUNT).toHaveText("2");
});

test("without a line the figures stand still, and it says so", async () => {
    const live = await open(() => figures(7));
    let isDown = true;
    patchWithCleanup(live.orm, {
        call() {
            if (isDown) {
                throw new ConnectionLostError("/web/dataset/call_kw");
            }
            return super.call(...arguments);
        },
    });
    live.onMessage();
    await advanceTime(1000);
    await animationFrame();
    expect(COUNT).toHaveText("7");
    expect(".alert-warning").toHaveCount(1);
    isDown = false;
    live.onMessage();
    await advanceTime(1000);
    await animationFrame();
    expect(".alert-warning").toHaveCount(0);
});
