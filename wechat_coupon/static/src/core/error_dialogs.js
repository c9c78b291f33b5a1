import { WarningDialog } from "@web/core/errors/error_dialogs";
import { registry } from "@web/core/registry";

// A sentence for the user, see wechat_base.
registry
    .category("error_dialogs")
    .add("odoo.addons.wechat_coupon.models.coupon_channel_card.OddAnswer", WarningDialog);
