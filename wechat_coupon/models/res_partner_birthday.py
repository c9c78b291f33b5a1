from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import sql

from ..tools import lunar

# A birthday is nobody's business who does not sell.
_GROUPS = (
    "point_of_sale.group_pos_user,sales_team.group_sale_salesman,"
    "wechat_coupon.coupon_group_auditor"
)


class ResPartner(models.Model):
    _inherit = "res.partner"

    wechat_birthday = fields.Date(string="Birthday", groups=_GROUPS)
    wechat_birthday_lunar = fields.Boolean(
        string="Lunar Birthday",
        groups=_GROUPS,
        help="The birthday is celebrated by the lunar calendar (农历).",
    )
    wechat_birthday_key = fields.Char(
        compute="_compute_wechat_birthday_key",
        store=True,
        index="btree_not_null",
        groups=_GROUPS,
        help="Calendar, month and day: all who celebrate together have the same.",
    )

    def _auto_init(self):
        """Extended: no contact has a birthday before there is a column for it.

        Odoo would read all contacts, maybe millions, to compute nothing.
        """
        columns = sql.table_columns(self.env.cr, self._table)
        if not columns.keys() & {"wechat_birthday", "wechat_birthday_key"}:
            sql.create_column(
                self.env.cr, self._table, "wechat_birthday_key", "varchar"
            )
        return super()._auto_init()

    @api.depends("wechat_birthday", "wechat_birthday_lunar")
    def _compute_wechat_birthday_key(self):
        for partner in self:
            born = partner.wechat_birthday
            partner.wechat_birthday_key = born and lunar.birthday_key(
                born, partner.wechat_birthday_lunar
            )

    @api.constrains("wechat_birthday")
    def _check_wechat_birthday(self):
        today = fields.Date.context_today(self)
        for partner in self:
            born = partner.wechat_birthday
            if born and not (lunar.FIRST_YEAR <= born.year and born <= today):
                raise ValidationError(
                    self.env._(
                        "A birthday lies between %(first)s and today.",
                        first=lunar.FIRST_YEAR,
                    )
                )

    def action_wechat_give_coupon(self):
        """Open a hand-out for the chosen customers."""
        self.env["coupon.template"]._check_manager()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Give Coupon"),
            "res_model": "coupon.handout",
            "view_mode": "form",
            "context": {
                "default_audience": "partners",
                "default_partner_ids": self.ids,
            },
        }
