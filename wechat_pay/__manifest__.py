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
        "data/queue_job_bill_data.xml",
        "data/ir_cron_data.xml",
        "views/pay_menus.xml",
<<<<<<< HEAD
        "wizard/wechat_pay_bill_wizard_views.xml",
        "views/wechat_pay_bill_views.xml",
        "views/wechat_pay_difference_views.xml",
        "views/pay_bill_menus.xml",
=======
        "views/payment_provider_views.xml",
        "views/payment_templates.xml",
        "data/mail_template_data.xml",
        "data/payment_provider_data.xml",
>>>>>>> web
    ],
    "assets": {
        "web.assets_frontend": [
            "wechat_pay/static/src/interactions/**/*",
        ],
    },
    "post_init_hook": "post_init_hook",
    "uninstall_hook": "uninstall_hook",
}
