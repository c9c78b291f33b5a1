from odoo import api, fields, models
from odoo.tools import SQL

from ..tools import codes


class CouponIssue(models.Model):
    """Why a customer has a coupon: one row for each that was handed out.

    Whether somebody gets one more is what the unique indexes of this table say. A row
    that is not issued yet is one that a running hand-out has still to make.
    """

    _name = "coupon.issue"
    _description = "Coupon Handed Out"
    _order = "id desc"
    _rec_name = "template_id"
    _log_access = False

    template_id = fields.Many2one(
        "coupon.template", required=True, readonly=True, index=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True, ondelete="restrict"
    )
    coupon_id = fields.Many2one(
        "loyalty.card", readonly=True, index="btree_not_null", ondelete="cascade"
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        readonly=True,
        index="btree_not_null",
        # Who has got it stays known as its claimer.
        ondelete="set null",
    )
    pos_order_id = fields.Many2one(
        "pos.order", string="Order", readonly=True, ondelete="cascade"
    )
    claimer = fields.Char(
        readonly=True,
        groups="wechat_coupon.coupon_group_manager",
        help="Who asked: the same text for the same person.",
    )
    claim_slot = fields.Integer(readonly=True)
    claim_browser = fields.Char(
        readonly=True,
        groups="base.group_system",
        help="A digest of the browser that got it, which may show it again.",
    )
    issued_at = fields.Datetime(string="Handed Out On", readonly=True)

    _order_uniq = models.UniqueIndex(
        "(pos_order_id, template_id) WHERE pos_order_id IS NOT NULL",
        "One coupon of a template for each order.",
    )
    _claim_uniq = models.UniqueIndex(
        "(template_id, claimer, claim_slot) WHERE claimer IS NOT NULL",
        "No more for each customer than the template says.",
    )

    @api.model
    def _plan_columns(self):
        """Return the columns that a planned row can have, with their types.

        :rtype: dict[str, str]
        """
        return {
            "partner_id": "int",
            "pos_order_id": "int",
            "claimer": "varchar",
            "claim_slot": "int",
            "claim_browser": "varchar",
        }

    @api.model
    def _plan(self, template, rows):
        """Make the rows of coupons that are to be made, where nobody has one yet.

        One statement; a row that breaks a unique index is left out, also when
        another transaction makes its twin at this moment.

        :param template: ``coupon.template`` record
        :param list rows: one dict per coupon, with keys of :meth:`_plan_columns`
        :return: the new ``coupon.issue`` records only
        """
        if not rows:
            return self.browse()
        columns = self._plan_columns()
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO coupon_issue (template_id, company_id, %(names)s)
                SELECT %(template)s, %(company)s, v.*
                  FROM unnest(%(arrays)s) AS v
                    ON CONFLICT DO NOTHING
             RETURNING id
                """,
                names=SQL(", ").join(map(SQL.identifier, columns)),
                template=template.id,
                company=template.company_id.id,
                arrays=SQL(", ").join(
                    SQL("%s::%s[]", [row.get(name) or None for row in rows], SQL(kind))
                    for name, kind in columns.items()
                ),
            ),
            # A conflict makes the request or the job run again.
            log_exceptions=False,
        )
        return self.browse(row[0] for row in self.env.cr.fetchall())

    def _make(self, **vals):
        """Make the coupons of planned rows of one template.

        :param vals: further values of the coupons, see ``loyalty.card._wechat_insert``
        :return: the coupons
        :rtype: ``loyalty.card`` records with sudo
        """
        template = self.template_id
        # sudo: the caller has checked who may hand them out.
        cards_sudo = self.env["loyalty.card"].sudo()
        waiting, made = self, cards_sudo
        begin, end = template._validity() if self else (None, None)
        while waiting:
            issues = {codes.new_code(): issue for issue in waiting}
            rows = [
                {
                    "code": code,
                    "partner_id": issue.partner_id.id,
                    "wechat_valid_from": begin,
                    "wechat_valid_to": end,
                    **vals,
                }
                for code, issue in issues.items()
            ]
            coupons = cards_sudo._wechat_insert(template, rows)
            # A code that was taken already is made anew.
            taken = {coupon.code: coupon.id for coupon in coupons}
            self._link({issues[code].id: taken[code] for code in taken})
            waiting = self.browse(
                issue.id for code, issue in issues.items() if code not in taken
            )
            made |= coupons
        return made

    def _link(self, coupons):
        """Write down which coupon each row has got."""
        self.env.cr.execute(
            """
            UPDATE coupon_issue AS issue
               SET coupon_id = v.coupon_id, issued_at = NOW() AT TIME ZONE 'UTC'
              FROM unnest(%s::int[], %s::int[]) AS v (id, coupon_id)
             WHERE issue.id = v.id
            """,
            [list(coupons), list(coupons.values())],
        )
        self.invalidate_recordset(["coupon_id", "issued_at"])
