import { LoyaltyProgram } from "@pos_loyalty/../tests/unit/data/loyalty_program.data";
import { patch } from "@web/core/utils/patch";

patch(LoyaltyProgram.prototype, {
    _load_pos_data_fields() {
        return [...super._load_pos_data_fields(), "wechat_guarded", "wechat_needs_payment"];
    },
});
