import { WarningDialog } from "@web/core/errors/error_dialogs";
import { registry } from "@web/core/registry";

// What WeChat or our connection to it says is a sentence for the user, as Odoo's own
// UserError is; Odoo goes by the name of the class.
const MODULE = "odoo.addons.wechat_base.tools.exceptions";
const NAMES = [
    "WechatError",
    "WechatConfigError",
    "WechatRefused",
    "WechatSignatureError",
    "WechatUnavailable",
    "WechatUnknownOutcome",
];

for (const name of NAMES) {
    registry.category("error_dialogs").add(`${MODULE}.${name}`, WarningDialog);
}
