"""Texts from outside, made fit for the database."""

import math


def storable(value):
    """Return ``value`` without what PostgreSQL cannot hold, all else as it is.

    A text loses its NULs, and halves of a character (JSON can spell them) become
    question marks; numbers that are none, which JSON columns refuse, become ``None``.

    :param value: a text, or dictionaries and lists of texts, numbers, …
    """
    if isinstance(value, str):
        text = value.replace("\0", "").encode("utf-8", "replace").decode()
        # Markup and the like stay what they are.
        return value if text == value else text
    if isinstance(value, dict):
        return {storable(name): storable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, tuple):
        return tuple(storable(item) for item in value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
