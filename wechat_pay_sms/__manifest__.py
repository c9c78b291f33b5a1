{
    "name": "WeChat Pay: SMS",
    "summary": "Tell customers by SMS what became of their WeChat payment",
    "version": "19.0.1.0.0",
    "category": "Accounting/Payment Providers",
    "author": "WeChat Retail contributors",
    "website": "https://github.com/wechat-retail/odoo-wechat",
    "license": "LGPL-3",
    "depends": ["wechat_pay", "sms"],
    "data": [
        "views/payment_provider_views.xml",
        "data/sms_template_data.xml",
    ],
    "auto_install": True,
}
