from odoo import models
from odoo.tools import SQL


class WechatPayFenMixin(models.AbstractModel):
    """Amounts in yuan that are shown only: what is kept is fen.

    Rows are written in bulk, past the ORM. So that lists can sum such an amount up by
    group, its SQL is that of its fen.
    """

    _name = "wechat.pay.fen.mixin"
    _description = "Amounts Kept in Fen"

    #: name of an amount that is not stored: the column of its fen
    _FEN_COLUMNS: dict[str, str] = {}

    def _field_to_sql(self, alias, field_expr, query=None):
        """Override of `base` for amounts that have no column of their own."""
        column = self._FEN_COLUMNS.get(field_expr)
        if not column:
            return super()._field_to_sql(alias, field_expr, query)
        self._check_field_access(self._fields[field_expr], "read")
        return SQL("(%s / 100.0)", super()._field_to_sql(alias, column, query))
