import { useEffect, useEnv, useState } from "@odoo/owl";
import { usePos } from "@point_of_sale/app/hooks/pos_hook";
import { isUnproven } from "@wechat_pay/app/services/wechat_pay_desk";
import { viewOf } from "@wechat_pay/app/utils/payment/payment_view";

const TICK_MS = 1000;

/**
 * What a component shows about a payment line of WeChat, up to the second.
 *
 * @returns {{payment: Object|undefined, view: PaymentView, isRefund: boolean, amount: string}}
 */
export function useWechatPayment(line) {
    const env = useEnv();
    const payments = useState(usePos().wechatPay.payments);
    const clock = useState({ now: Date.now() });
    useEffect(
        (isWaiting) => {
            if (isWaiting) {
                const timer = setInterval(() => (clock.now = Date.now()), TICK_MS);
                return () => clearInterval(timer);
            }
        },
        () => [Boolean(payments[line.uuid]) && !payments[line.uuid].isOver]
    );
    return {
        get payment() {
            return payments[line.uuid];
        },
        get view() {
            return viewOf({
                payment: this.payment,
                // A line that is being deleted is drawn once more.
                ways: line.payment_method_id?.wechat_ways,
                isDone: line.isDone(),
                isUnproven: isUnproven(line),
                isRefund: this.isRefund,
                now: Math.max(clock.now, Date.now()),
            });
        },
        get isRefund() {
            return line.amount < 0;
        },
        get amount() {
            return env.utils.formatCurrency(Math.abs(line.amount));
        },
    };
}
