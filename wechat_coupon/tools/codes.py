"""Codes of our own coupons: unguessable, and safe for every scanner and till."""

import secrets

# No character that is taken for another one when read aloud or typed. Without I, L,
# O and S none of the words of KEY_NAMES can occur.
ALPHABET = "3479ACDEFHJKMNPRTWXY"
_LETTERS = "ACDEFHJKMNPRTWXY"
# 16 × 20^13 codes: 60 bits, so 100 guesses a minute for a year against a million
# valid codes succeed with a chance below 1 in 20 000.
CODE_LENGTH = 14
# What WeChat allows, and what we accept from a till.
MAX_CODE_LENGTH = 64
# Odoo's barcode service deletes these words from what a keyboard scanner types.
KEY_NAMES = ("ALT", "SHIFT", "CONTROL")


def new_code():
    """Return a new random code.

    It begins with a letter, so that it can neither be a product's EAN nor match
    the prefixes 041 to 044 of Odoo's barcode rules.
    """
    rest = "".join(secrets.choice(ALPHABET) for _i in range(CODE_LENGTH - 1))
    return secrets.choice(_LETTERS) + rest


def is_scannable(code):
    """Whether a code survives a keyboard scanner and Odoo's barcode rules."""
    upper = code.upper()
    return (
        0 < len(code) <= MAX_CODE_LENGTH
        and code.isascii()
        and code.isalnum()
        and not any(name in upper for name in KEY_NAMES)
        and not code.startswith(("041", "042", "043", "044"))
    )
