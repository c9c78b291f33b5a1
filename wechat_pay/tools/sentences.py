"""What a cashier or a customer reads when a payment is refused.

WeChat's own text is Chinese and written for developers; these say what to do.
"""

from odoo.tools.translate import LazyGettext, LazyTranslate

from ..const import SETUP_CODES

_lt = LazyTranslate(__name__)

_NEW_CODE = _lt(
    "The payment code is not valid any more. Ask the customer to refresh it, and scan "
    "it again."
)
_OTHER_WAY = _lt(
    "WeChat refuses this customer's payment. Ask the customer to choose another card "
    "in WeChat and scan the new code, or take the money another way."
)

REFUSALS: dict[str, LazyGettext] = {
    **dict.fromkeys(
        ("AUTH_CODE_INVALID", "AUTHCODEEXPIRE", "AUTH_CODE_ERROR", "AUTH_CODE_EXPIRE"),
        _NEW_CODE,
    ),
    **dict.fromkeys(
        (
            "NOT_ENOUGH",
            "NOTENOUGH",
            "USER_ACCOUNT_ABNORMAL",
            "NOTSUPORTCARD",
            "TRADE_ERROR",
            "BUYER_MISMATCH",
            "REQUEST_BLOCKED",
        ),
        _OTHER_WAY,
    ),
    **dict.fromkeys(
        SETUP_CODES,
        _lt(
            "WeChat Pay is not set up rightly, or WeChat has not opened it to the "
            "shop. Take the money another way, and call the manager."
        ),
    ),
    "RULE_LIMIT": _lt(
        "WeChat's rules do not allow this payment (a limit of the customer or of the "
        "merchant). Take the money another way."
    ),
    "PAYERROR": _lt(
        "The customer has cancelled, or WeChat could not charge the card. Nothing was "
        "paid. Ask for a new code and scan it, or take the money another way."
    ),
    "timeout": _lt(
        "The customer did not pay in time. Nothing was paid. Ask for a new code and "
        "scan it."
    ),
    "cancelled": _lt("The payment was cancelled. Nothing was paid."),
    "giving_back": _lt(
        "The payment was cancelled. Should the customer have been charged, the money "
        "goes back by itself."
    ),
    "mismatch": _lt(
        "WeChat reports another amount for this payment. Do not hand out the goods; "
        "call the manager."
    ),
    "no_order": _lt(
        "The till took this money, and no order was saved for it. Look for the order "
        "at the till; if there is none, refund the payment."
    ),
    "not_sent": _lt("Nothing was sent to WeChat and nothing was paid. Try again."),
}

# What means something else when money goes back.
REFUND_REFUSALS: dict[str, LazyGettext] = {
    "NOT_ENOUGH": _lt(
        "The merchant's balance at WeChat is too small for this refund. Try again "
        "later, or give the money back another way and tell the manager."
    ),
    "no_order": _lt(
        "The till gave this money back, and no return was saved for it. Look for the "
        "return at the till, and enter it if there is none."
    ),
}


def sentence(translate, code, error="", kind="payment"):
    """Return what a person is told about a refusal.

    :param translate: ``env._``
    :param str code: WeChat's or one of ours
    :param str error: what is known otherwise
    :param str kind: ``payment`` or ``refund``
    """
    special = REFUND_REFUSALS if kind == "refund" else {}
    found = special.get(code) or REFUSALS.get(code)
    return translate(found) if found else error
