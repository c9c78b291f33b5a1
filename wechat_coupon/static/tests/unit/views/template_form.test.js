import { expect, test } from "@odoo/hoot";
import {
    contains,
    defineModels,
    fields,
    models,
    mountView,
} from "@web/../tests/web_test_helpers";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { setupPosEnv } from "@point_of_sale/../tests/unit/utils";

class Offer extends models.Model {
    _name = "offer";

    name = fields.Char();
    title = fields.Char({ trim: true });
    benefit = fields.Char();
    brand_name = fields.Char();
    notice = fields.Char();
    description = fields.Text();
    color_hex = fields.Char();
    logo = fields.Binary();
    date_type = fields.Selection({ selection: [["range", "Range"], ["term", "Term"]] });
    date_from = fields.Date();
    date_to = fields.Date();
    term_days = fields.Integer();

    _records = [
        {
            id: 1,
            name: "Ten off",
            title: "满100减10",
            benefit: "¥10 off",
            brand_name: "茶",
            date_type: "range",
            date_from: "2026-11-01",
            date_to: "2026-11-30",
        },
    ];
}

definePosModels();
defineModels([Offer]);

const arch = `
    <form>
        <field name="title" widget="wechat_bytes" options="{'bytes': 27}"/>
        <field name="description" widget="wechat_bytes_text" options="{'bytes': 10}"/>
        <field name="brand_name"/><field name="name"/><field name="benefit"/>
        <field name="date_type"/><field name="date_from"/><field name="date_to"/>
        <field name="term_days"/><field name="color_hex"/><field name="logo"/>
        <widget name="wechat_coupon_preview"/>
    </form>`;

async function open() {
    // The services of the till start in every environment of this suite.
    await setupPosEnv();
    await mountView({ type: "form", resModel: "offer", resId: 1, arch });
}

test("bytes are counted while somebody types", async () => {
    await open();
    expect("[name=title] .o_wechat_bytes").toHaveText("11/27 bytes");
    await contains("[name=title] input").edit("满一百元减十元全场", { confirm: false });
    expect("[name=title] .o_wechat_bytes").toHaveText("27/27 bytes");
    expect("[name=title] .o_wechat_bytes").not.toHaveClass("text-danger");
    await contains("[name=title] input").edit("满一百元减十元全场!", { confirm: false });
    expect("[name=title] .o_wechat_bytes").toHaveText("28/27 bytes");
    expect("[name=title] .o_wechat_bytes").toHaveClass("text-danger");
});

test("spaces that are cut off do not count, and long texts are counted, too", async () => {
    await open();
    await contains("[name=title] input").edit("  a ", { confirm: false });
    expect("[name=title] .o_wechat_bytes").toHaveText("1/27 bytes");
    expect("[name=description] .o_wechat_bytes").toHaveText("0/10 bytes");
    await contains("[name=description] textarea").edit("每单一张", { confirm: false });
    expect("[name=description] .o_wechat_bytes").toHaveText("12/10 bytes");
});

test("the count goes back with the text", async () => {
    await open();
    await contains("[name=title] input").edit("abc");
    expect("[name=title] .o_wechat_bytes").toHaveText("3/27 bytes");
    await contains(".o_form_button_cancel").click();
    expect("[name=title] .o_wechat_bytes").toHaveText("11/27 bytes");
});

test("the phone shows what is not saved yet", async () => {
    await open();
    expect(".o_wechat_preview_brand").toHaveText("茶");
    expect(".o_wechat_preview_title").toHaveText("满100减10");
    expect(".o_wechat_preview_benefit").toHaveText("¥10 off");
    expect(".o_wechat_preview_validity").toHaveText("Valid: 2026.11.01 – 2026.11.30");
    await contains("[name=title] input").edit("New");
    expect(".o_wechat_preview_title").toHaveText("New");
    await contains("[name=title] input").edit("");
    expect(".o_wechat_preview_title").toHaveText("Ten off");
});
