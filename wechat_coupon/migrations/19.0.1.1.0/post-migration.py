"""Coupons that were published before can be used on sales orders, too."""


def migrate(cr, version):
    cr.execute("UPDATE loyalty_program SET sale_ok = true WHERE wechat_guarded")
