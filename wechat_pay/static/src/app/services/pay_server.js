import { TillServer } from "@wechat_pay/app/services/till_server";
import { logPosMessage } from "@point_of_sale/app/utils/pretty_console_log";

/**
 * The line to the server about payments of one method.
 */
export class PayServer extends TillServer {
    constructor(pos, method) {
        super(pos);
        this.method = method;
    }

    /** Charging takes as long as it takes; meanwhile the state is asked for. */
    start(payment) {
        return this._send("wechat_pay_start", payment);
    }

    status(line) {
        return this.inTime(this._send("wechat_pay_status", line));
    }

    cancel(line) {
        return this.inTime(this._send("wechat_pay_cancel", line));
    }

    refund(refund) {
        return this.inTime(this._send("wechat_pay_refund", refund));
    }

    _send(name, value) {
        return this.pos.data.call("pos.payment.method", name, [[this.method.id], value]);
    }

    /** Nothing of what was sent is logged: it may hold a payment code. */
    log(functionName, error) {
        const { message, exceptionName } = error;
        logPosMessage("WechatPay", functionName, `${exceptionName || error.name}: ${message}`);
    }
}
