"""Who may do what with WeChat Pay."""

from odoo.exceptions import AccessError


def check_manager(env):
    """Refuse users who may only look.

    :raises AccessError: if the user is no manager of WeChat Pay
    """
    if not env.su and not env.user.has_group("wechat_pay.pay_group_manager"):
        raise AccessError(env._("Only a manager of WeChat Pay may do that."))


def check_merchant(env, merchant):
    """Refuse those who may not touch a merchant's bills.

    A branch pays with what its parent has, but keeps out of its parent's books.

    :param merchant: ``wechat.merchant`` record
    :raises AccessError: if the user may not, or it belongs to another company
    """
    check_manager(env)
    merchant.check_access("read")
    if not env.su and merchant.company_id not in env.companies:
        raise AccessError(
            env._("“%s” belongs to a company that is not selected.", merchant.name)
        )
