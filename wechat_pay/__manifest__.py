{
    "name": "WeChat Pay",
    "summary": "WeChat Pay at the till, on the web and in the books",
    "version": "19.0.1.0.0",
    "category": "Accounting/Payment Providers",
    "author": "WeChat Retail contributors",
    "website": "https://github.com/wechat-retail/odoo-wechat",
    "license": "LGPL-3",
    "depends": ["wechat_base", "account_payment", "point_of_sale"],
    "data": [
        "security/pay_groups.xml",
        "security/ir.model.access.csv",
        "security/pay_rules.xml",
        "data/queue_job_data.xml",
        "wizard/wechat_pay_refund_wizard_views.xml",
        "views/wechat_pay_transaction_views.xml",
        "views/pos_payment_method_views.xml",
        "views/pos_payment_views.xml",
        "views/wechat_merchant_views.xml",
        "views/pay_menus.xml",
    ],
    "assets": {
        "point_of_sale._assets_pos": [
            "wechat_pay/static/src/app/**/*",
        ],
        "web.assets_tests": [
            "wechat_pay/static/tests/tours/**/*",
        ],
        "web.assets_unit_tests": [
            "wechat_pay/static/tests/unit/**/*",
        ],
    },
}
