"""The key with which our own code may change guarded coupons and programs.

The ledger (``coupon.redemption``) and the templates are the only ones who may write a
guarded coupon's balance or a published template's terms, whatever rights the user
has. The key is a Python object: no value that comes over RPC can equal it.
"""

_CONTEXT_KEY = "wechat_coupon_ledger"
_KEY = object()


def as_ledger(records):
    """Return ``records`` with the right to change what is guarded.

    The caller has checked the user's rights before.
    """
    # sudo: users of the till may neither write coupons nor programs themselves.
    return records.sudo().with_context(
        **{
            _CONTEXT_KEY: _KEY,
            "tracking_disable": True,
            "loyalty_no_mail": True,
            "action_no_send_mail": True,
        }
    )


def is_ledger(env):
    """Whether the caller holds the key."""
    return env.context.get(_CONTEXT_KEY) is _KEY
