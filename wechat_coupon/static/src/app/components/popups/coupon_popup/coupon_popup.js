import { Component, onMounted, useRef, useState } from "@odoo/owl";
import { usePos } from "@point_of_sale/app/hooks/pos_hook";
import { CouponList } from "@wechat_coupon/app/components/coupon_list/coupon_list";
import { cleanTypedCode } from "@wechat_coupon/app/utils/code_router";
import { Dialog } from "@web/core/dialog/dialog";
import { _t } from "@web/core/l10n/translation";

/**
 * Type a code, see what becomes of it, and which coupons the order has.
 */
export class CouponPopup extends Component {
    static template = "wechat_coupon.CouponPopup";
    static components = { CouponList, Dialog };
    static props = { close: Function };

    setup() {
        this.pos = usePos();
        this.state = useState({ code: "", message: "", type: "" });
        this.held = useState({ coupons: [], more: false, message: "", busy: false });
        this.inputRef = useRef("input");
        onMounted(() => {
            this.inputRef.el.focus();
            this.loadHeld();
        });
    }

    get order() {
        return this.pos.getOrder();
    }

    get isBusy() {
        return this.pos.wechatCoupon.busyCodes.length > 0;
    }

    get savedSentence() {
        const saved = this.order.wechatSavedTotal();
        return saved
            ? _t("Saved: %(amount)s", { amount: this.env.utils.formatCurrency(saved) })
            : "";
    }

    onKeydown(ev) {
        if (ev.key === "Enter" && !ev.isComposing) {
            ev.preventDefault();
            this.submit();
        }
    }

    /** What the customer of the order could use; nobody is asked without one. */
    async loadHeld() {
        const partner = this.order.getPartner();
        if (!partner) {
            return;
        }
        this.held.busy = true;
        const answer = await this.pos.wechatCoupon.heldBy(partner, this.order);
        Object.assign(this.held, { coupons: [], more: false, message: "", busy: false }, answer);
    }

    /** The customer's coupons that are not on the order yet. */
    get heldCoupons() {
        const present = this.order.wechatGuardedCoupons().map(({ code }) => code);
        return this.held.coupons.filter(({ code }) => !present.includes(code));
    }

    async submit() {
        await this.use(cleanTypedCode(this.state.code));
    }

    async use(code) {
        if (!code || this.isBusy) {
            return;
        }
        this.say("", "");
        const result = await this.pos.wechatCoupon.activate(code);
        if (result.status === "found") {
            this.state.code = "";
            const message = result.message || _t("The coupon was applied.");
            this.say(message, result.applied && !result.message ? "success" : "warning");
        } else {
            this.say(result.message, "danger");
            this.inputRef.el?.select();
        }
    }

    say(message, type) {
        Object.assign(this.state, { message, type });
    }
}
