import { expect, test } from "@odoo/hoot";
import { mountWithCleanup, patchWithCleanup } from "@web/../tests/web_test_helpers";
import { ControlButtons } from "@point_of_sale/app/screens/product_screen/control_buttons/control_buttons";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { CODE, found, mockServer, openOrder, settle } from "../utils";

definePosModels();

async function mountButtons({ isSmall, ...props }) {
    mockServer({ lookup: found() });
    const { desk, store } = await openOrder(100);
    await desk.activate(CODE);
    await settle();
    expect.verifySteps(["lookup"]);
    patchWithCleanup(store.env.services.ui, {
        get isSmall() {
            return isSmall;
        },
    });
    await mountWithCleanup(ControlButtons, { props });
}

test("the coupon button stands beside the order, with the number of coupons", async () => {
    await mountButtons({ isSmall: false });
    expect(".o_wechat_coupon_button").toHaveCount(1);
    expect(".o_wechat_coupon_button .badge").toHaveText("1");
});

test("on a phone it is among the other buttons, and there only", async () => {
    await mountButtons({ isSmall: true, showRemainingButtons: true });
    expect(".o_wechat_coupon_button").toHaveCount(1);
    expect(".o_wechat_coupon_button .badge").toHaveText("1");
});
