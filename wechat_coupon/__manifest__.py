{
    "name": "WeChat Coupons",
    "summary": "WeChat coupons and our own: publish, redeem once at the till, report",
    "version": "19.0.1.0.0",
    "category": "Sales/Point of Sale",
    "author": "WeChat Retail contributors",
    "website": "https://github.com/wechat-retail/odoo-wechat",
    "license": "LGPL-3",
    "depends": ["wechat_pay", "pos_loyalty", "sale_loyalty"],
    "data": [
        "security/coupon_groups.xml",
        "security/ir.model.access.csv",
        "security/coupon_rules.xml",
        "data/ir_cron_data.xml",
        "data/queue_job_data.xml",
        "wizard/coupon_generate_wizard_views.xml",
        "wizard/coupon_pull_wizard_views.xml",
        "wizard/coupon_reason_wizard_views.xml",
        "views/coupon_redemption_views.xml",
        "views/coupon_redemption_line_views.xml",
        "views/loyalty_card_views.xml",
        "views/loyalty_program_views.xml",
        "views/coupon_template_views.xml",
        "views/pos_order_views.xml",
        "views/res_config_settings_views.xml",
        "views/coupon_task_views.xml",
        "views/coupon_menus.xml",
    ],
    "uninstall_hook": "uninstall_hook",
    "assets": {
        "web.assets_backend": [
            "wechat_coupon/static/src/core/**/*",
        ],
        "point_of_sale._assets_pos": [
            "wechat_coupon/static/src/app/**/*",
        ],
        "web.assets_tests": [
            "wechat_coupon/static/tests/tours/**/*",
        ],
        "web.assets_unit_tests": [
            "wechat_coupon/static/tests/unit/**/*",
        ],
    },
}
