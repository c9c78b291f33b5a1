import { registry } from "@web/core/registry";

/** A customer sees the code, pays with the phone, and is led on to the invoice. */
registry.category("web_tour.tours").add("wechat_pay_web_payment", {
    steps: () => [
        {
            content: "The QR code and the time left are shown",
            trigger: ".o_wechat_pay[data-state=payable] .o_wechat_pay_qr img:visible",
        },
        {
            content: "The clock runs",
            trigger: ".o_wechat_pay_clock:contains(/[0-9]+:[0-9]{2}/)",
        },
        {
            content: "The other states are hidden",
            trigger: "body:not(:has(.o_wechat_pay_retry:visible))",
            expectUnloadPage: true,
        },
        {
            content: "Paid meanwhile: the page leads on by itself",
            trigger: "#invoice_content",
        },
    ],
});
