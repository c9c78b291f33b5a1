// Its patch must come first: ours builds on it.
import "@pos_loyalty/app/services/pos_store";
import { PosStore } from "@point_of_sale/app/services/pos_store";
import { CouponDesk } from "@wechat_coupon/app/services/coupon_desk";
import { cleanTypedCode } from "@wechat_coupon/app/utils/code_router";
import { patch } from "@web/core/utils/patch";

patch(PosStore.prototype, {
    async setup() {
        this.wechatCoupon = new CouponDesk(this);
        await super.setup(...arguments);
    },
    /**
     * The payment gate: nothing is paid before the order's coupons are held.
     */
    async pay() {
        const order = this.getOrder();
        if (!order.canPay()) {
            return super.pay(...arguments);
        }
        if (!(await this.wechatCoupon.mayPay(order))) {
            return;
        }
        const result = await super.pay(...arguments);
        if (this.router.state.current !== "PaymentScreen") {
            this.wechatCoupon.leavePayment(order);
        }
        return result;
    },
    /**
     * The payment gate of the buttons that pay at once: before the payment exists.
     */
    async validateOrderFast() {
        const order = this.getOrder();
        if (!(await this.wechatCoupon.mayPay(order))) {
            return;
        }
        const result = await super.validateOrderFast(...arguments);
        this.wechatCoupon.leavePayment(order);
        return result;
    },
    async orderUpdateLoyaltyPrograms() {
        this.getOrder()?._wechatRelinkCoupons();
        return super.orderUpdateLoyaltyPrograms(...arguments);
    },
    async postSyncAllOrders(orders) {
        orders.forEach((order) => order.wechatStandIns());
        return super.postSyncAllOrders(...arguments);
    },
    async _onBeforeDeleteOrder(order) {
        const mayDelete = await super._onBeforeDeleteOrder(...arguments);
        if (mayDelete && order.uiState?.wechatReservation) {
            // Nobody waits for this: the server lets go by itself in the end.
            this.wechatCoupon.release(order);
        }
        return mayDelete;
    },
    /**
     * Typed codes, and codes that the nomenclature takes for Odoo's coupons.
     *
     * @returns {Promise<true|string>} a string says why not
     */
    async activateCode(code) {
        const clean = cleanTypedCode(code);
        if (this._wechatIsPromotionCode(code)) {
            return super.activateCode(...arguments);
        }
        const result = await this.wechatCoupon.activate(clean);
        if (result.status === "unknown") {
            return super.activateCode(...arguments);
        }
        if (result.status === "unreachable" && !result.offline) {
            // WeChat does not answer, but the code may be one of Odoo's own.
            const own = await super.activateCode(...arguments);
            return own === true || result.message;
        }
        return result.message || true;
    },
    /** Whether this is the order on the screen, and may still change. */
    wechatIsOpen(order) {
        return order.uuid === this.getOrder()?.uuid && !order.finalized;
    },
    wechatIsPaying(order) {
        return this.router.state.current === "PaymentScreen" && this.wechatIsOpen(order);
    },
    /** Odoo saves orders in the browser when they change, not when their state does. */
    wechatSaveLocally() {
        this.data.debouncedSynchronizeLocalDataInIndexedDB();
    },
    _wechatIsPromotionCode(code) {
        return this.models["loyalty.rule"].some(
            (rule) =>
                rule.mode === "with_code" &&
                (rule.code === code || rule.promo_barcode === code)
        );
    },
});
