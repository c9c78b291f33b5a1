{
    "name": "WeChat Connection",
    "summary": "Official accounts, WeChat Pay merchants, callbacks and outgoing calls",
    "version": "19.0.1.1.0",
    "category": "Hidden/Tools",
    "author": "WeChat Retail contributors",
    "website": "https://github.com/wechat-retail/odoo-wechat",
    "license": "LGPL-3",
    "depends": ["base_setup", "mail", "queue_job"],
    "external_dependencies": {
        # Pinned: the client overrides what is private there.
        "python": ["cryptography", "requests", "wechatpy==1.8.18"],
    },
    "data": [
        "security/wechat_groups.xml",
        "security/wechat_rules.xml",
        "security/ir.model.access.csv",
        "data/queue_job_data.xml",
        "data/ir_cron_data.xml",
        "views/wechat_account_views.xml",
        "views/wechat_merchant_views.xml",
        "views/wechat_identity_views.xml",
        "views/wechat_event_views.xml",
        "wizard/wechat_connection_check_views.xml",
        "wizard/wechat_merchant_keys_views.xml",
        "views/wechat_menus.xml",
        "views/res_config_settings_views.xml",
    ],
    "uninstall_hook": "uninstall_hook",
    "assets": {
        "web.assets_backend": [
            "wechat_base/static/src/core/**/*",
        ],
    },
}
