"""Columns that Odoo's own fields do not offer."""

from odoo import fields


class Fen(fields.Integer):
    """Integer fen in eight bytes: four end at 21 million yuan."""

    _column_type = ("int8", "int8")
