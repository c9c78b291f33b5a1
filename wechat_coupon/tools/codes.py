"""Codes of our own coupons: unguessable, and safe for every scanner and till."""

import secrets

# No character that is taken for another one when read aloud or typed. Without I, L,
# O and S there is no ALT, SHIFT or CONTROL: Odoo's barcode service deletes these words
# from what a keyboard scanner types.
ALPHABET = "3479ACDEFHJKMNPRTWXY"
_LETTERS = "ACDEFHJKMNPRTWXY"
# 16 × 20^13 codes: 60 bits, so 100 guesses a minute for a year against a million
# valid codes succeed with a chance below 1 in 20 000.
CODE_LENGTH = 14
# What WeChat allows, and what we accept from a till.
MAX_CODE_LENGTH = 64


def new_code():
    """Return a new random code.

    It begins with a letter, so that it can neither be a product's EAN nor match
    the prefixes 041 to 044 of Odoo's barcode rules.
    """
    rest = "".join(secrets.choice(ALPHABET) for _i in range(CODE_LENGTH - 1))
    return secrets.choice(_LETTERS) + rest
