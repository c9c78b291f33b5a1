import * as Dialog from "@point_of_sale/../tests/generic_helpers/dialog_util";
import * as OfflineUtil from "@point_of_sale/../tests/generic_helpers/offline_util";
import { negate, refresh, run } from "@point_of_sale/../tests/generic_helpers/utils";
import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";
import * as PaymentScreen from "@point_of_sale/../tests/pos/tours/utils/payment_screen_util";
import * as ProductScreen from "@point_of_sale/../tests/pos/tours/utils/product_screen_util";
import * as ReceiptScreen from "@point_of_sale/../tests/pos/tours/utils/receipt_screen_util";
import * as TicketScreen from "@point_of_sale/../tests/pos/tours/utils/ticket_screen_util";
import * as Coupon from "@wechat_coupon/../tests/tours/utils/wechat_coupon_util";
import { registry } from "@web/core/registry";

const tours = registry.category("web_tour.tours");

/** Scan, discount, pay, receipt; then the same code again. */
tours.add("WechatCouponStory", {
    steps: () =>
        [
            Coupon.open(),
            Coupon.addTea(2),
            Coupon.totalIs("120.00"),
            Coupon.scan("621234567890"),
            Coupon.isApplied("20 off 100", "-20.00"),
            Coupon.totalIs("100.00"),
            ProductScreen.clickPayButton(),
            Coupon.isHeld("Reserved for this order until"),
            Coupon.serverHolds(1),
            Coupon.payWithCash(),
            Coupon.receiptNames("20 off 100", "****7890", "-20.00"),
            Coupon.receiptSaved("20.00"),
            ReceiptScreen.clickNextOrder(),
            Coupon.addTea(2),
            Coupon.scan("621234567890"),
            Coupon.isRefused("already used"),
            Coupon.noCoupon(),
            Coupon.totalIs("120.00"),
        ].flat(),
});

tours.add("WechatCouponStoryZh", {
    steps: () =>
        [
            Coupon.open(),
            Coupon.addTea(1),
            Coupon.type("6212 3456 7890"),
            Coupon.popupSays("还差 ¥40.00"),
            Coupon.closePopup(),
            Coupon.isWaiting("20 off 100", "还差"),
            Coupon.addTea(1),
            Coupon.isApplied("20 off 100", "-20.00"),
            ProductScreen.clickPayButton(),
            Coupon.isHeld("已为本单保留至"),
            Coupon.payWithCash(),
            { content: "in Chinese", trigger: '.pos-receipt:contains("使用的优惠券")' },
            { content: "in Chinese", trigger: '.pos-receipt:contains("优惠券共优惠")' },
            Coupon.receiptNames("20 off 100", "****7890", "-20.00"),
        ].flat(),
});

/** Each way in which a coupon can be no good, with its sentence. */
tours.add("WechatCouponRefusals", {
    steps: () =>
        [
            Coupon.open(),
            Coupon.addTea(1),
            Coupon.scan("629999999999"),
            Coupon.isNotified("no product and no coupon with the code 629999999999"),
            Coupon.scan("EXPXRED347"),
            Coupon.isRefused("expired"),
            Coupon.scan("FUTXRE3479"),
            Coupon.isRefused("valid from"),
            Coupon.scan("VXXDED3479"),
            Coupon.isRefused("made invalid"),
            // This till takes no payment codes.
            Coupon.scan("134567890123456789"),
            Coupon.isNotified("no product and no coupon with the code 134567890123456789"),
            // Somebody else's, once there is a customer on the order.
            ProductScreen.clickPartnerButton(),
            ProductScreen.clickCustomer("Acme Corporation"),
            Coupon.scan("XWNER34791"),
            Coupon.isRefused("belongs to another customer"),
            Coupon.noCoupon(),
            // Below the threshold it waits, and applies itself.
            Coupon.scan("621234567890"),
            Coupon.isNotified("¥40.00 more"),
            Coupon.isWaiting("20 off 100", "40.00"),
            Coupon.totalIs("60.00"),
            Coupon.addTea(1),
            Coupon.isApplied("20 off 100", "-20.00"),
            Coupon.totalIs("100.00"),
            Coupon.remove("20 off 100"),
            Coupon.noCoupon(),
            Coupon.totalIs("120.00"),
        ].flat(),
});

/** What the customer has is shown, and used by one tap. */
tours.add("WechatCouponHeld", {
    steps: () =>
        [
            Coupon.open(),
            Coupon.addTea(2),
            ProductScreen.clickPartnerButton(),
            ProductScreen.clickCustomer("Zhang Wei"),
            Coupon.openPopup(),
            Coupon.isWaitingFor("500 off", "380.00"),
            Coupon.tapHeld("30 off 100"),
            Coupon.popupSays("The coupon was applied."),
            Coupon.isNoLongerOffered("30 off 100"),
            Coupon.closePopup(),
            Coupon.isApplied("30 off 100", "-30.00"),
            Coupon.totalIs("90.00"),
        ].flat(),
});

/** A gift coupon by its number: the product is on the order, and costs nothing. */
tours.add("WechatCouponGift", {
    steps: () =>
        [
            Coupon.open(),
            Coupon.addTea(1),
            Coupon.type("GXFT 3479 12"),
            Coupon.popupSays("The coupon was applied."),
            Coupon.closePopup(),
            ProductScreen.clickOrderline("Cake"),
            Coupon.totalIs("60.00"),
            // Without the coupon nobody wants the cake.
            Coupon.remove("Free cake"),
            Coupon.noCoupon(),
            { content: "no cake", trigger: negate('.orderline:contains("Cake")') },
            Coupon.totalIs("60.00"),
            Coupon.type("GXFT347912"),
            Coupon.popupSays("The coupon was applied."),
            Coupon.closePopup(),
            Coupon.totalIs("60.00"),
            ProductScreen.clickPayButton(),
            Coupon.payWithCash(),
            Coupon.receiptNames("Free cake", "****7912", "-30.00"),
        ].flat(),
});

/** Twelve digits: a product, a coupon, both. */
tours.add("WechatCouponRouter", {
    steps: () =>
        [
            Coupon.open(),
            Coupon.scan("012345678905"),
            Coupon.totalIs("30.00"),
            // Its code is that of a coupon, too.
            Coupon.scan("621234567895"),
            {
                content: "the cashier is asked",
                trigger: '.selection-item:contains("customer\'s WeChat coupon")',
                run: "click",
            },
            Coupon.isApplied("5 off", "-5.00"),
            Coupon.totalIs("25.00"),
            // Odoo would take these for a customer, a badge, a discount. It knows only
            // one discount on the whole order, and keeps the best one.
            Coupon.scan("042123456789"),
            Coupon.isApplied("6 off", "-6.00"),
            Coupon.isWaiting("5 off", "Only one discount on the whole order"),
            Coupon.scan("041123456789"),
            Coupon.isApplied("7 off", "-7.00"),
            Coupon.scan("220512345678"),
            Coupon.isApplied("8 off", "-8.00"),
            Coupon.totalIs("22.00"),
            Coupon.remove("8 off"),
            Coupon.isApplied("7 off", "-7.00"),
            Coupon.totalIs("23.00"),
        ].flat(),
});

/** The coupon is held for an order that this till does not have. */
tours.add("WechatCouponHeldElsewhere", {
    steps: () =>
        [
            Coupon.open(),
            Coupon.addTea(2),
            Coupon.scan("621234567890"),
            Coupon.isApplied("20 off 100", "-20.00"),
            Coupon.heldElsewhere("621234567890"),
            ProductScreen.clickPayButton(false),
            Coupon.refusedAtGate("another open order"),
            Coupon.totalIs("100.00"),
            ProductScreen.clickPayButton(false),
            Dialog.confirm("Remove the coupon"),
            Coupon.noCoupon(),
            Coupon.totalIs("120.00"),
            Coupon.scan("621234567890"),
            Coupon.isRefused("another open order"),
            ProductScreen.clickPayButton(),
            Coupon.payWithCash(),
        ].flat(),
});

/** Quick payment buttons skip the payment screen, but not the gates. */
tours.add("WechatCouponQuickPayment", {
    steps: () =>
        [
            Coupon.open(),
            Coupon.addTea(2),
            Coupon.scan("621234567890"),
            Coupon.isApplied("20 off 100", "-20.00"),
            ProductScreen.clickFastPaymentButton("Cash"),
            ReceiptScreen.receiptIsThere(),
            Coupon.receiptNames("20 off 100", "****7890", "-20.00"),
            ReceiptScreen.clickNextOrder(),
            Coupon.addTea(2),
            Coupon.scan("621234567891"),
            Coupon.isApplied("20 off 100", "-20.00"),
            Coupon.heldElsewhere("621234567891"),
            ProductScreen.clickFastPaymentButton("Cash"),
            Coupon.refusedAtGate("another open order"),
            ProductScreen.isShown(),
            Coupon.totalIs("100.00"),
            run(() => {
                if (posmodel.getOrder().payment_ids.length) {
                    throw new Error("a payment was made for a refused order");
                }
            }, "nothing was paid"),
        ].flat(),
});

/** The browser is reloaded between payment and validation. */
tours.add("WechatCouponReload", {
    steps: () =>
        [
            Coupon.open(),
            Coupon.addTea(2),
            Coupon.scan("621234567890"),
            Coupon.isApplied("20 off 100", "-20.00"),
            ProductScreen.clickPayButton(),
            PaymentScreen.clickPaymentMethod("Cash"),
            Coupon.serverHolds(1),
            refresh(),
            PaymentScreen.isShown(),
            Coupon.isHeld("Reserved for this order until"),
            Coupon.serverHolds(1),
            PaymentScreen.clickValidate(),
            ReceiptScreen.receiptIsThere(),
            Coupon.receiptNames("20 off 100", "****7890", "-20.00"),
        ].flat(),
});

const refundOneOfTwo = (paid = "Paid") =>
    [
        Chrome.clickOrders(),
        TicketScreen.selectFilter(paid),
        TicketScreen.selectOrderByPrice("100.00"),
        ProductScreen.clickNumpad("1"),
        TicketScreen.confirmRefund(),
        PaymentScreen.isShown(),
        PaymentScreen.totalIs("-50.00"),
        Coupon.payWithCash(),
    ].flat();

/** Goods are given back at a till that knows the order from the server only. */
tours.add("WechatCouponRefund", {
    steps: () =>
        [
            Coupon.open(),
            Coupon.addTea(2),
            Coupon.scan("621234567890"),
            Coupon.isApplied("20 off 100", "-20.00"),
            ProductScreen.clickPayButton(),
            Coupon.payWithCash(),
            ReceiptScreen.clickNextOrder(),
            refresh(),
            refundOneOfTwo(),
            Coupon.receiptSaysOfCoupon("all goods of the order"),
            ReceiptScreen.clickNextOrder(),
            refundOneOfTwo(),
            Coupon.receiptSaysOfCoupon("has the coupon back"),
        ].flat(),
});

/** The same in Chinese, after a code that is no good. */
tours.add("WechatCouponRefundZh", {
    steps: () =>
        [
            Coupon.open(),
            Coupon.addTea(2),
            Coupon.scan("EXPXRED347"),
            Coupon.isRefused("过期"),
            Coupon.scan("621234567890"),
            Coupon.isApplied("20 off 100", "-20.00"),
            ProductScreen.clickPayButton(),
            Coupon.payWithCash(),
            ReceiptScreen.clickNextOrder(),
            refundOneOfTwo("已支"),
            Coupon.receiptSaysOfCoupon("全部商品"),
            ReceiptScreen.clickNextOrder(),
            refundOneOfTwo("已支"),
            Coupon.receiptSaysOfCoupon("此券已退还给顾客"),
        ].flat(),
});

/** The customer goes away: back, and the order deleted. */
tours.add("WechatCouponAbandon", {
    steps: () =>
        [
            Coupon.open(),
            Coupon.addTea(2),
            Coupon.scan("621234567890"),
            Coupon.isApplied("20 off 100", "-20.00"),
            ProductScreen.clickPayButton(),
            Coupon.serverHolds(1),
            PaymentScreen.clickBack(),
            ProductScreen.isShown(),
            Chrome.waitRequest(),
            Coupon.serverHolds(0),
            ProductScreen.clickPayButton(),
            Coupon.serverHolds(1),
            Chrome.clickOrders(),
            Coupon.deleteOrderOf("100.00"),
            Dialog.confirm(),
            Chrome.waitRequest(),
        ].flat(),
});

/** A coupon is scanned on the payment screen. */
tours.add("WechatCouponAtPayment", {
    steps: () =>
        [
            Coupon.open(),
            Coupon.addTea(2),
            ProductScreen.clickPayButton(),
            PaymentScreen.clickPaymentMethod("Cash"),
            Coupon.scan("621234567890"),
            Coupon.isHeld("Reserved for this order until"),
            PaymentScreen.totalIs("100.00"),
            PaymentScreen.clickValidate(),
            ReceiptScreen.receiptIsThere(),
            Coupon.receiptNames("20 off 100", "****7890", "-20.00"),
        ].flat(),
});

/** The server goes away: at look-up, at the payment gate, at validation. */
tours.add("WechatCouponOffline", {
    steps: () =>
        [
            Coupon.open(),
            Coupon.addTea(2),
            OfflineUtil.setOfflineMode(),
            Coupon.scan("621234567890"),
            Coupon.isNotified("No connection to the server"),
            Coupon.noCoupon(),
            OfflineUtil.setOnlineMode(),
            Coupon.scan("621234567890"),
            Coupon.isApplied("20 off 100", "-20.00"),
            OfflineUtil.setOfflineMode(),
            ProductScreen.clickPayButton(false),
            Coupon.refusedAtGate("No connection to the server"),
            Coupon.totalIs("100.00"),
            OfflineUtil.setOnlineMode(),
            ProductScreen.clickPayButton(),
            Coupon.isHeld("Reserved for this order until"),
            PaymentScreen.clickPaymentMethod("Cash"),
            OfflineUtil.setOfflineMode(),
            run(() => {
                // The gate may trust what it was told a moment ago; let it ask.
                posmodel.getOrder().uiState.wechatReservation.at = 0;
            }, "the reservation is not of this moment"),
            PaymentScreen.clickValidate(),
            {
                content: "Odoo says that it works without the server",
                trigger: ".modal:has(:contains('Connection Lost')) .modal-footer .btn-primary",
                run: "click",
            },
            ReceiptScreen.receiptIsThere(),
            Coupon.receiptNames("20 off 100", "****7890", "-20.00"),
            OfflineUtil.setOnlineMode(),
            run(() => posmodel.data.checkConnectivity(), "the connection is back"),
            run(() => posmodel.syncAllOrders(), "the order is sent"),
        ].flat(),
});

/** A fixed price, a limit per customer, a coupon that is used alone. */
tours.add("WechatCouponTerms", {
    steps: () =>
        [
            Coupon.open(),
            Coupon.addTea(2),
            Coupon.scan("CHAHA3479"),
            Coupon.isRefused("Select the customer on the order"),
            ProductScreen.clickPartnerButton(),
            ProductScreen.clickCustomer("Acme Corporation"),
            Coupon.scan("CHAHA3497"),
            Coupon.isApplied("Tea for 9.90", "-50.10"),
            Coupon.totalIs("69.90"),
            Coupon.scan("AXXNE3479"),
            Coupon.isRefused("cannot be used together with “Tea for 9.90”"),
            Coupon.totalIs("69.90"),
            // Somewhere else the customer uses up what is allowed.
            Coupon.usedElsewhere("CHAHA3479"),
            ProductScreen.clickPayButton(false),
            Coupon.refusedAtGate("as often as is allowed (1 in all)"),
            Coupon.remove("Tea for 9.90"),
            Coupon.noCoupon(),
            Coupon.totalIs("120.00"),
            Coupon.scan("AXXNE3479"),
            Coupon.isApplied("Alone", "-5.00"),
            ProductScreen.clickPayButton(),
            Coupon.payWithCash(),
        ].flat(),
});
