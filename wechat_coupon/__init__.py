from . import controllers
from . import models
from . import report
from . import wizard
from .tools.ledger import as_ledger


def uninstall_hook(env):
    """Archive the programs of our coupons.

    Without the ledger Odoo's own till would take each of their codes, also those of
    coupons that are used, held or made invalid at WeChat.
    """
    programs = env["loyalty.program"].with_context(active_test=False)
    guarded = programs.search([("wechat_guarded", "=", True)])
    as_ledger(guarded).write({"active": False})
    # Triggers would go with their tables; their functions would stay.
    env.cr.execute(
        "DROP FUNCTION IF EXISTS coupon_redemption_log_change() CASCADE; "
        "DROP FUNCTION IF EXISTS coupon_redemption_log_keep() CASCADE"
    )
