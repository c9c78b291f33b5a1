"""Codes of our own coupons: unguessable, and safe for every scanner and till."""

import re
import secrets

# No character that is taken for another one when read aloud or typed. Without I, L,
# O and S none of the words ALT, SHIFT and CONTROL can occur, which Odoo's barcode
# service deletes from what a keyboard scanner types.
ALPHABET = "3479ACDEFHJKMNPRTWXY"
_LETTERS = "ACDEFHJKMNPRTWXY"
# 16 × 20^13 codes: 60 bits, so 100 guesses a minute for a year against a million
# valid codes succeed with a chance below 1 in 20 000.
CODE_LENGTH = 14
# What WeChat allows, and what we accept from a till.
MAX_CODE_LENGTH = 64
# What WeChat Pay, Alipay and UnionPay show for a payment.
_PAYMENT_CODE = re.compile(
    r"1[0-5][0-9]{16}|(2[5-9]|30)[0-9]{14,22}|62[0-9]{17}", re.ASCII
)


def new_code():
    """Return a new random code.

    It begins with a letter, so that it can neither be a product's EAN nor match
    the prefixes 041 to 044 of Odoo's barcode rules.
    """
    rest = "".join(secrets.choice(ALPHABET) for _i in range(CODE_LENGTH - 1))
    return secrets.choice(_LETTERS) + rest


def is_text(code):
    """Whether the database could hold it: no NUL, no half of a character."""
    if not isinstance(code, str) or "\0" in code:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in code)


def is_payment_code(code):
    """Whether it looks like a customer's payment code: money, sent to nobody."""
    return bool(_PAYMENT_CODE.fullmatch(code))


def mask(code):
    """Return the end of a code: enough to tell two coupons apart, not to use one."""
    text = code or ""
    return f"****{text[-4:]}" if len(text) > 4 else "****"
