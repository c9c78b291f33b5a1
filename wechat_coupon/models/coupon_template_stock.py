from odoo import api, fields, models
from odoo.tools import SQL


class CouponTemplateStock(models.Model):
    """How many coupons of a template were handed out.

    It has a row of its own: were it a column of the template, each hand-out would
    get in the way of tills whose ledger rows point to the template.
    """

    _name = "coupon.template.stock"
    _description = "Coupons Handed Out"
    _rec_name = "template_id"

    template_id = fields.Many2one(
        "coupon.template", required=True, readonly=True, ondelete="cascade"
    )
    handed_out = fields.Integer(readonly=True)

    _template_unique = models.UniqueIndex(
        "(template_id)", "Coupons of a template are counted once."
    )

    def _take(self, template, count):
        """Count coupons that are about to be handed out, unless that is too many.

        One conditional UPDATE: of two who take the last ones at the same time, the
        second one waits, and is then refused or run again by Odoo.

        Where any number may be handed out nothing is counted, so that tills do not
        wait for each other; the counter of a limit that is set later begins with the
        coupons that exist.

        :param template: ``coupon.template`` record
        :param int count: how many
        :return: whether there were enough
        :rtype: bool
        """
        template.flush_recordset(["stock"])
        self.flush_model()
        if self._is_any_number(template):
            return True
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO coupon_template_stock (template_id, handed_out)
                SELECT %(template)s, (
                    SELECT count(*) FROM loyalty_card
                     WHERE coupon_template_id = %(template)s)
                 WHERE NOT EXISTS (
                    SELECT 1 FROM coupon_template_stock
                     WHERE template_id = %(template)s)
                ON CONFLICT DO NOTHING
                """,
                template=template.id,
            ),
            log_exceptions=False,
        )
        self.env.cr.execute(
            SQL(
                """
                UPDATE coupon_template_stock s
                   SET handed_out = s.handed_out + %(count)s
                  FROM coupon_template t
                 WHERE t.id = s.template_id AND t.id = %(template)s
                   AND (t.stock = 0 OR s.handed_out + %(count)s <= t.stock)
                """,
                template=template.id,
                count=count,
            ),
            log_exceptions=False,
        )
        taken = bool(self.env.cr.rowcount)
        self._forget(template)
        return taken

    def _is_any_number(self, template):
        # Whoever sets a limit waits until the coupons of those who saw none are
        # there to be counted; tills do not wait for each other here.
        self.env.cr.execute(
            "SELECT id FROM coupon_template WHERE id = %s AND stock = 0 FOR SHARE",
            [template.id],
            log_exceptions=False,
        )
        if not self.env.cr.rowcount:
            return False
        # It would miss what is handed out from now on.
        self.env.cr.execute(
            "DELETE FROM coupon_template_stock WHERE template_id = %s",
            [template.id],
            log_exceptions=False,
        )
        self._forget(template)
        return True

    def _forget(self, template):
        self.invalidate_model()
        template.invalidate_recordset(["handed_out", "stock_left"])


class CouponTemplate(models.Model):
    _inherit = "coupon.template"

    handed_out = fields.Integer(compute="_compute_handed_out")
    stock_left = fields.Integer(string="Left", compute="_compute_handed_out")

    @api.depends("stock")
    def _compute_handed_out(self):
        counts = self._counted()
        counts |= self._coupons_made(
            [template_id for template_id in self.ids if template_id not in counts]
        )
        for template in self:
            template.handed_out = counts.get(template._origin.id, 0)
            template.stock_left = max(template.stock - template.handed_out, 0)

    def _counted(self):
        """Return the counters of templates that have a limit, by id."""
        # sudo: the counter is technical; its number concerns whoever reads this.
        rows_sudo = self.env["coupon.template.stock"].sudo()
        groups = rows_sudo._read_group(
            [("template_id", "in", self.filtered("stock").ids)],
            ["template_id"],
            ["handed_out:sum"],
        )
        return {template.id: count for template, count in groups}

    def _coupons_made(self, template_ids):
        """Return how many coupons of templates there are, by id."""
        # sudo: as for the counter.
        cards_sudo = self.env["loyalty.card"].sudo().with_context(active_test=False)
        groups = cards_sudo._read_group(
            [("coupon_template_id", "in", template_ids)],
            ["coupon_template_id"],
            ["__count"],
        )
        return {template.id: count for template, count in groups}
