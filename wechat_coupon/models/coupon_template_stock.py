from odoo import fields, models
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

        :param template: ``coupon.template`` record
        :param int count: how many
        :return: whether there were enough
        :rtype: bool
        """
        template.flush_recordset(["stock"])
        self.flush_model()
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
        self.invalidate_model()
        template.invalidate_recordset(["handed_out", "stock_left"])
        return taken
