import { expect, test } from "@odoo/hoot";
import { waitFor } from "@odoo/hoot-dom";
import { MainComponentsContainer } from "@web/core/main_components_container";
import { mountWithCleanup } from "@web/../tests/web_test_helpers";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { CouponPopup } from "@wechat_coupon/app/components/popups/coupon_popup/coupon_popup";
import { CODE, found, mockServer, openOrder, settle } from "../utils";

definePosModels();

test("the popup says what the coupons save, if they do", async () => {
    mockServer({ lookup: found() });
    const { desk, store } = await openOrder(100);
    await mountWithCleanup(MainComponentsContainer);
    store.dialog.add(CouponPopup, {});
    await waitFor(".o_wechat_coupon_popup");
    expect(".o_wechat_coupon_popup span:contains(Saved)").toHaveCount(0);
    await desk.activate(CODE);
    await settle();
    expect(".o_wechat_coupon_popup span:contains(Saved)").toHaveText(/^Saved: .*20\.00/);
    expect.verifySteps(["lookup"]);
});
