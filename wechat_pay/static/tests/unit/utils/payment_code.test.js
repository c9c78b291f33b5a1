import { describe, expect, test } from "@odoo/hoot";
import { cleanCode, isPaymentCode, paymentCodeOf } from "@wechat_pay/app/utils/payment_code";

describe.current.tags("headless");

test("scanners and input methods leave marks on a code", () => {
    expect(cleanCode(" 621234567890\r\n")).toBe("621234567890");
    expect(cleanCode("６２１２３４５６７８９０")).toBe("621234567890");
    expect(cleanCode("\u200b\ufeffAX34")).toBe("AX34");
    expect(cleanCode("0112345\u001d21")).toBe("0112345\u001d21");
    expect(cleanCode(undefined)).toBe("");
});

test("payment codes are known by their shape", () => {
    expect(isPaymentCode("134567890123456789")).toBe(true); // WeChat
    expect(isPaymentCode("284567890123456789")).toBe(true); // Alipay
    expect(isPaymentCode("6223456789012345678")).toBe(true); // UnionPay
    expect(isPaymentCode("164567890123456789")).toBe(false);
    expect(isPaymentCode("621234567890")).toBe(false);
    expect(isPaymentCode("6901234567892")).toBe(false);
    expect(isPaymentCode("AXE4567890123456789")).toBe(false);
});

test("whose code it is", () => {
    expect(paymentCodeOf("134567890123456789")).toBe("wechat");
    expect(paymentCodeOf("284567890123456789")).toBe("alipay");
    expect(paymentCodeOf("6223456789012345678")).toBe("unionpay");
    expect(paymentCodeOf("13456789012345678")).toBe(null);
});
