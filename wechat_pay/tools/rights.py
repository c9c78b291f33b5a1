"""Who may do what with WeChat Pay."""

from odoo.exceptions import AccessError


def check_manager(env):
    """Refuse users who may only look.

    :raises AccessError: if the user is no manager of WeChat Pay
    """
    if not env.su and not env.user.has_group("wechat_pay.pay_group_manager"):
        raise AccessError(env._("Only a manager of WeChat Pay may do that."))
