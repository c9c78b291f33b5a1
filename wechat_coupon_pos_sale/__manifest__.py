{
    "name": "WeChat Coupons: Sales Orders at the Till",
    "summary": "Coupons of quotations that are paid in the point of sale",
    "version": "19.0.1.0.0",
    "category": "Sales/Point of Sale",
    "author": "WeChat Retail contributors",
    "website": "https://github.com/wechat-retail/odoo-wechat",
    "license": "LGPL-3",
    "depends": ["wechat_coupon", "pos_sale_loyalty"],
    "auto_install": True,
    "assets": {
        "point_of_sale._assets_pos": ["wechat_coupon_pos_sale/static/src/app/**/*"],
        "web.assets_tests": ["wechat_coupon_pos_sale/static/tests/tours/**/*"],
    },
}
