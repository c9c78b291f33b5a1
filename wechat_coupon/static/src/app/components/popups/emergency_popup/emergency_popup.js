import { Component, useState } from "@odoo/owl";
import { Dialog } from "@web/core/dialog/dialog";
import { _t } from "@web/core/l10n/translation";

/**
 * WeChat cannot be asked about a coupon: a manager may take it all the same.
 *
 * Its payload is `"released"`, `"remove"`, or nothing.
 */
export class EmergencyPopup extends Component {
    static template = "wechat_coupon.EmergencyPopup";
    static components = { Dialog };
    static props = {
        close: Function,
        getPayload: Function,
        message: String,
        managers: Array,
        // Sends it to the server; returns what is wrong, or an empty text.
        release: Function,
    };

    setup() {
        const own = this.props.managers.find((manager) => manager.is_self);
        const first = own || this.props.managers[0];
        this.state = useState({
            managerId: first?.id || 0,
            pin: "",
            reason: "",
            problem: first ? "" : _t("No manager of this shop has a PIN for coupons yet."),
            isBusy: false,
        });
    }

    get needsPin() {
        const { managerId } = this.state;
        return !this.props.managers.find(({ id }) => id === managerId)?.is_self;
    }

    get mayRelease() {
        const { managerId, pin, reason, isBusy } = this.state;
        return managerId && !isBusy && reason.trim() && (pin || !this.needsPin);
    }

    onManager(ev) {
        this.state.managerId = parseInt(ev.target.value);
    }

    async release() {
        const { managerId, pin, reason } = this.state;
        Object.assign(this.state, { isBusy: true, problem: "" });
        const problem = await this.props.release({
            manager_id: managerId,
            pin,
            reason: reason.trim(),
        });
        Object.assign(this.state, { isBusy: false, pin: "", problem });
        if (!problem) {
            this.end("released");
        }
    }

    end(payload) {
        this.props.getPayload(payload);
        this.props.close();
    }
}
