import * as Dialog from "@point_of_sale/../tests/generic_helpers/dialog_util";
import * as OfflineUtil from "@point_of_sale/../tests/generic_helpers/offline_util";
import { refresh, run } from "@point_of_sale/../tests/generic_helpers/utils";
import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";
import * as PaymentScreen from "@point_of_sale/../tests/pos/tours/utils/payment_screen_util";
import * as ProductScreen from "@point_of_sale/../tests/pos/tours/utils/product_screen_util";
import * as ReceiptScreen from "@point_of_sale/../tests/pos/tours/utils/receipt_screen_util";
import * as TicketScreen from "@point_of_sale/../tests/pos/tours/utils/ticket_screen_util";
import * as Pay from "@wechat_pay/../tests/tours/utils/wechat_pay_util";
import { registry } from "@web/core/registry";

const tours = registry.category("web_tour.tours");

/** A cashier with a queue; codes of others, used codes, codes at the wrong place. */
tours.add("WechatPayStory", {
    steps: () =>
        [
            Pay.open(),
            Pay.addTea(),
            Pay.scanPhone(),
            Pay.isNotified("Go to payment"),
            ProductScreen.clickPayButton(),
            Pay.choose(),
            Pay.says("Scan the customer's payment code"),
            Pay.scan("284567890123456789"),
            Pay.isNotified("Alipay"),
            Pay.scan("6223456789012345678"),
            Pay.isNotified("UnionPay"),
            Pay.scanPhone(),
            Pay.receiptSays("WeChat Pay number: 4"),
            Pay.keepsNoCode(),
            Pay.nextOrder(),
            // Just scan. The customer has a coupon of WeChat's.
            Pay.orderTea(),
            Pay.onPhone("voucher", { amount: 100, name: "One yuan off" }),
            Pay.scanPhone(),
            Pay.receiptSays("One yuan off: ", "Paid by the customer: ", "59.00"),
            Pay.nextOrder(),
            // The last customer's code once more.
            Pay.orderTea(),
            Pay.scanPhone({ used: 1 }),
            Pay.says("is not valid any more"),
            Pay.says("Scan the customer's new payment code"),
            // The server lets go of what was refused, then the line goes away.
            PaymentScreen.clickPaymentlineDelButton("WeChat Pay", "60.00"),
            Pay.noLine(),
            // Refused again: the cashier takes the money another way, and thinks better of it.
            Pay.scanPhone({ used: 1 }),
            Pay.says("Scan the customer's new payment code"),
            PaymentScreen.clickPaymentMethod("Cash"),
            PaymentScreen.selectedPaymentlineHas("Cash", "60.00"),
            PaymentScreen.clickPaymentlineDelButton("Cash", "60.00"),
            Pay.noLine(),
            Pay.scanPhone(),
            Pay.receiptSays("WeChat Pay number: 4"),
            Pay.nextOrder(),
            // The other till, with the same order, was faster.
            Pay.orderTea(),
            Pay.paidElsewhere(),
            Pay.scanPhone(),
            Pay.dialogSays("has been paid with WeChat already"),
            Pay.says("Not paid"),
            Chrome.clickOrders(),
            TicketScreen.deleteOrder("004"),
            Dialog.confirm(),
            Pay.noOrder("60.00"),
        ].flat(),
});

/** The customer's password: wrong, right after a reload, refused, given up. */
tours.add("WechatPayPassword", {
    steps: () =>
        [
            Pay.open(),
            Pay.orderTea(),
            Pay.onPhone("ask_password"),
            Pay.scanPhone(),
            Pay.says("Waiting for the customer's password"),
            Pay.countsDown(),
            Pay.offersNot("force"),
            Pay.scanPhone(),
            Pay.isNotified("under way"),
            PaymentScreen.clickNumpad("5"),
            PaymentScreen.selectedPaymentlineHas("WeChat Pay", "60.00"),
            PaymentScreen.clickValidate(),
            Pay.dialogSays("under way"),
            Pay.onPhone("password", { result: "wrong" }),
            refresh(),
            PaymentScreen.isShown(),
            Pay.says("Waiting for the customer's password"),
            Pay.onPhone("password", { result: "right" }),
            Pay.receiptSays("WeChat Pay number: 4"),
            Pay.nextOrder(),
            Pay.orderTea(),
            Pay.onPhone("ask_password"),
            Pay.scanPhone(),
            Pay.says("Waiting for the customer's password"),
            Pay.onPhone("password", { result: "cancel" }),
            Pay.says("The customer has cancelled"),
            Pay.scanPhone(),
            Pay.receiptSays("WeChat Pay number: 4"),
            Pay.nextOrder(),
            // The cashier gives up: first the payment, then the line.
            Pay.orderTea(),
            Pay.onPhone("ask_password"),
            Pay.scanPhone(),
            Pay.click("cancel"),
            Pay.says("Nothing was paid"),
            Pay.onPhone("ask_password"),
            Pay.scanPhone(),
            Pay.says("Waiting for the customer's password"),
            PaymentScreen.clickPaymentlineDelButton("WeChat Pay", "60.00"),
            Pay.noLine(),
            PaymentScreen.clickPaymentMethod("Cash"),
            PaymentScreen.clickValidate(),
            ReceiptScreen.receiptIsThere(),
            Pay.nextOrder(),
            // Another customer is served meanwhile.
            Pay.orderTea(),
            Pay.onPhone("ask_password"),
            Pay.scanPhone(),
            Pay.says("Waiting for the customer's password"),
            PaymentScreen.clickBack(),
            ProductScreen.isShown(),
            Pay.onPhone("password", { result: "right" }),
            Pay.isNotified("has been paid with WeChat"),
            ProductScreen.clickControlButton("Cancel Order"),
            Dialog.confirm("Ok"),
            Pay.dialogSays("Money of this order has moved with WeChat"),
            ProductScreen.clickPayButton(),
            Pay.says("Paid"),
            PaymentScreen.clickValidate(),
            Pay.receiptSays("WeChat Pay number: 4"),
        ].flat(),
});

/** WeChat does not answer, answers late, or answers nonsense. */
tours.add("WechatPayFaults", {
    steps: () =>
        [
            Pay.open(),
            Pay.orderTea(),
            Pay.onPhone("fault", { kind: "timeout_after", seconds: 1 }),
            Pay.scanPhone(),
            Pay.says("Do not charge again"),
            Pay.receiptSays("WeChat Pay number: 4"),
            Pay.nextOrder(),
            Pay.orderTea(),
            Pay.onPhone("fault", { kind: "http_status", status: 500, commit: 1 }),
            Pay.scanPhone(),
            Pay.says("Do not charge again"),
            Pay.receiptSays("WeChat Pay number: 4"),
            Pay.nextOrder(),
            // Taken, and the cashier cancels before anybody knows: it goes back.
            Pay.orderTea(),
            Pay.onPhone("fault", { kind: "http_status", status: 500, commit: 1 }),
            Pay.onPhone("fault", { kind: "http_status", status: 500, path: "out-trade-no/[^/]+$" }),
            Pay.scanPhone(),
            Pay.click("cancel"),
            Pay.says("Nothing was paid"),
            Pay.onPhone("heal"),
            Pay.scanPhone(),
            Pay.receiptSays("WeChat Pay number: 4"),
            Pay.nextOrder(),
            // The server is out of reach while the customer enters the password.
            Pay.orderTea(),
            Pay.onPhone("ask_password"),
            Pay.scanPhone(),
            Pay.says("Waiting for the customer's password"),
            Pay.onPhone("password", { result: "right" }),
            OfflineUtil.setOfflineMode(),
            Pay.says("No connection to the server"),
            OfflineUtil.setOnlineMode(),
            Pay.receiptSays("WeChat Pay number: 4"),
            Pay.nextOrder(),
            // WeChat stays out of reach, and the customer's phone shows the payment.
            Pay.orderTea(),
            Pay.onPhone("fault", { kind: "http_status", status: 500, commit: 1 }),
            Pay.onPhone("fault", {
                kind: "http_status",
                status: 500,
                path: "out-trade-no/[^/]+$",
                times: 100,
            }),
            Pay.scanPhone(),
            Pay.says("Do not charge again"),
            Pay.offersNot("force"),
            Pay.afterLongDoubt(),
            Pay.click("force"),
            Dialog.confirm("I have seen the payment"),
            Pay.isNotified("Not confirmed by WeChat"),
            Pay.receiptSays("Not confirmed by WeChat"),
            Pay.onPhone("heal"),
            Pay.nextOrder(),
            // Another amount than ours.
            Pay.orderTea(),
            Pay.onPhone("ask_password"),
            Pay.scanPhone(),
            Pay.says("Waiting for the customer's password"),
            Pay.onPhone("other_amount"),
            Pay.onPhone("password", { result: "right" }),
            Pay.dialogSays("another amount"),
            Pay.says("Call the manager"),
            Pay.offersNot("cancel"),
            PaymentScreen.clickPaymentlineDelButton("WeChat Pay", "60.00"),
            Pay.dialogSays("on the worklist"),
            Pay.noLine(),
        ].flat(),
});

/** Nobody enters the password; WeChat has lost the order; both end in time. */
tours.add("WechatPayTooLate", {
    steps: () =>
        [
            Pay.open(),
            Pay.orderTea(),
            Pay.onPhone("ask_password"),
            Pay.scanPhone(),
            Pay.says("Waiting for the customer's password"),
            Pay.says("did not pay in time"),
            Pay.onPhone("fault", { kind: "http_status", status: 500 }),
            Pay.scanPhone(),
            Pay.says("Do not charge again"),
            Pay.says("did not pay in time"),
            Pay.scanPhone(),
            Pay.receiptSays("WeChat Pay number: 4"),
        ].flat(),
});

/** The customer scans our QR code; or shows a code all the same; or comes too late. */
tours.add("WechatPayQr", {
    steps: () =>
        [
            Pay.open(),
            Pay.orderTea(),
            Pay.choose(),
            Pay.click("show_qr"),
            Pay.shows("qr img"),
            Pay.countsDown(),
            run(() => {
                const { qrPaymentData } = posmodel.getOrder().getSelectedPaymentline();
                if (!qrPaymentData?.amount.includes("60.00")) {
                    throw new Error("the customer display has no QR code");
                }
            }, "the customer display shows it"),
            Pay.onPhone("pay", { tell: 2 }),
            Pay.receiptSays("WeChat Pay number: 4"),
            run(() => {
                if (posmodel.getOrder().payment_ids[0].qrPaymentData) {
                    throw new Error("the customer display still has the QR code");
                }
            }, "the customer display is free again"),
            Pay.nextOrder(),
            Pay.orderTea(),
            Pay.choose(),
            Pay.click("show_qr"),
            Pay.shows("qr img"),
            Pay.click("hide"),
            Pay.offersNot("qr"),
            Pay.click("reopen"),
            Pay.shows("qr img"),
            Pay.scanPhone(),
            Pay.receiptSays("WeChat Pay number: 4"),
            Pay.nextOrder(),
            Pay.orderTea(),
            Pay.choose(),
            Pay.click("show_qr"),
            Pay.shows("qr img"),
            Pay.onPhone("let_time_pass"),
            Pay.says("did not pay in time"),
            Pay.click("show_qr"),
            Pay.shows("qr img"),
            refresh(),
            PaymentScreen.isShown(),
            Pay.shows("qr img"),
            Pay.onPhone("pay"),
            Pay.receiptSays("WeChat Pay number: 4"),
        ].flat(),
});

const refundTea = (pieces, amount, total = "120.00") =>
    [
        Chrome.clickOrders(),
        TicketScreen.selectFilter("Paid"),
        TicketScreen.selectOrderByPrice(total),
        pieces ? ProductScreen.clickNumpad(pieces) : [],
        TicketScreen.confirmRefund(),
        PaymentScreen.isShown(),
        PaymentScreen.selectedPaymentlineHas("WeChat Pay", amount),
    ].flat();

/** One tea goes back slowly, another is refused once; then a whole order. */
tours.add("WechatPayRefund", {
    steps: () =>
        [
            Pay.open(),
            Pay.orderTea(2),
            Pay.scanPhone(),
            Pay.receiptSays("WeChat Pay number: 4"),
            Pay.nextOrder(),
            refundTea("1", "-60.00"),
            Pay.scanPhone(),
            Pay.isNotified("gives money back"),
            Pay.onPhone("slow_refunds"),
            PaymentScreen.clickRefundButton(),
            Pay.isNotified("within minutes"),
            ReceiptScreen.receiptIsThere(),
            Pay.nextOrder(),
            refundTea("1", "-60.00"),
            Pay.onPhone("fault", { kind: "http_status", status: 403, path: "refund", code: "NOT_ENOUGH" }),
            PaymentScreen.clickRefundButton(),
            Pay.says("Not refunded yet"),
            Pay.says("The merchant's balance at WeChat is too small"),
            Pay.onPhone("heal"),
            Pay.click("refund"),
            ReceiptScreen.receiptIsThere(),
            Pay.nextOrder(),
            // A whole order, partly paid in cash: no more than came from WeChat.
            Pay.orderTea(),
            PaymentScreen.clickPaymentMethod("Cash"),
            PaymentScreen.clickNumpad("2 0"),
            PaymentScreen.selectedPaymentlineHas("Cash", "20.00"),
            Pay.scanPhone(),
            Pay.receiptSays("WeChat Pay number: 4"),
            Pay.nextOrder(),
            refundTea("", "-40.00", "60.00"),
            Pay.onPhone("quick_refunds"),
            PaymentScreen.clickRefundButton(),
            Pay.says("Refunded"),
            PaymentScreen.clickPaymentMethod("Cash"),
            PaymentScreen.clickValidate(),
            ReceiptScreen.receiptIsThere(),
        ].flat(),
});
