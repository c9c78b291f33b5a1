import { expect, test } from "@odoo/hoot";
import { animationFrame, Deferred } from "@odoo/hoot-mock";
import { mountWithCleanup } from "@web/../tests/web_test_helpers";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { CouponList } from "@wechat_coupon/app/components/coupon_list/coupon_list";
import { CODE, found, mockServer, openOrder, settle } from "../utils";

definePosModels();

test("the order shows what is being looked up, and then the coupon", async () => {
    const answer = new Deferred();
    mockServer({ lookup: () => answer });
    const { desk, order } = await openOrder(100);
    await mountWithCleanup(CouponList, { props: { order } });
    const activated = desk.activate(CODE);
    await animationFrame();
    expect(".o_wechat_coupon_busy").toHaveText("Looking up ****7890…");
    answer.resolve(found());
    await activated;
    await settle();
    expect(".o_wechat_coupon_busy").toHaveCount(0);
    expect(".o_wechat_coupon.o_applied").toHaveCount(1);
    expect.verifySteps(["lookup"]);
});
