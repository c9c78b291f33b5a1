import { registry } from "@web/core/registry";
import { stepUtils } from "@web_tour/tour_utils";

/** What a marketer does to have a coupon live; all is found by the names of fields. */
const publish = (name, gives, live) => [
    { content: "a new template", trigger: ".o_list_button_add", run: "click" },
    {
        content: "its name",
        trigger: ".o_field_widget[name=name] :is(input, textarea)",
        run: `edit ${name}`,
    },
    { content: "takes off", trigger: ".o_field_widget[name=amount] input", run: "edit 10" },
    { content: "from", trigger: ".o_field_widget[name=threshold] input", run: "edit 100" },
    ...stepUtils.saveForm(),
    { content: "in short", trigger: `.o_field_widget[name=benefit]:contains("${gives}")` },
    { content: "publish it", trigger: "button[name=action_publish]", run: "click" },
    {
        content: "customers can get it",
        trigger: `.o_statusbar_status .o_arrow_button_current:contains("${live}")`,
    },
    {
        content: "what it gives cannot be changed any more",
        trigger: ".o_field_widget[name=amount].o_readonly_modifier",
    },
    { content: "it can be handed out", trigger: "button[name=action_claim_link]" },
];

registry.category("web_tour.tours").add("WechatCouponTemplate", {
    url: "/odoo/action-wechat_coupon.coupon_template_action",
    steps: () => publish("Autumn 10 off 100", "¥10 off from ¥100", "Live"),
});

registry.category("web_tour.tours").add("WechatCouponTemplateZh", {
    url: "/odoo/action-wechat_coupon.coupon_template_action",
    steps: () => publish("秋季满100减10", "减 10 元", "使用中"),
});
