from odoo import fields, models, tools


class CouponReport(models.Model):
    """One row for each coupon: what marketing wants to count.

    Amounts are those of the redemption that stands; a coupon that was given back
    counts as not redeemed.
    """

    _name = "coupon.report"
    _description = "Coupon Analysis"
    _auto = False
    _order = "issued_at desc"
    _rec_name = "coupon_id"

    coupon_id = fields.Many2one("loyalty.card", readonly=True)
    template_id = fields.Many2one("coupon.template", readonly=True)
    channel = fields.Selection(
        selection=lambda self: (
            self.env["coupon.template"]
            ._fields["channel"]
            ._description_selection(self.env)
        ),
        readonly=True,
    )
    attribute = fields.Selection(
        selection=lambda self: (
            self.env["coupon.template"]
            ._fields["attribute"]
            ._description_selection(self.env)
        ),
        readonly=True,
    )
    company_id = fields.Many2one("res.company", readonly=True)
    used_company_id = fields.Many2one(
        "res.company",
        string="Used at Company",
        readonly=True,
        help="The company or branch of the order; coupons of a company are good in its "
        "branches.",
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    partner_id = fields.Many2one("res.partner", string="Customer", readonly=True)
    category_ids = fields.Many2many(
        "res.partner.category",
        "coupon_report_category_rel",
        "coupon_id",
        "category_id",
        string="Customer Group",
        readonly=True,
        help="Tags of the customer who used the coupon, or else who holds it. A "
        "customer of two groups counts in both.",
    )
    config_id = fields.Many2one("pos.config", string="Shop", readonly=True)
    issued_at = fields.Datetime(string="Issued On", readonly=True)
    redeemed_at = fields.Datetime(string="Redeemed On", readonly=True)
    stage = fields.Selection(
        [
            ("held", "Held"),
            ("redeemed", "Redeemed"),
            ("expired", "Expired"),
            ("void", "Made Invalid"),
        ],
        readonly=True,
    )
    issued = fields.Integer(readonly=True)
    held = fields.Integer(readonly=True)
    redeemed = fields.Integer(readonly=True)
    expired = fields.Integer(readonly=True)
    rate = fields.Float(
        string="Redeemed (%)", readonly=True, aggregator="avg", digits=(16, 1)
    )
    days_to_use = fields.Float(
        string="Days Until Used", readonly=True, aggregator="avg", digits=(16, 1)
    )
    discount_amount = fields.Monetary(string="Discount", readonly=True)
    order_amount = fields.Monetary(
        string="Sales with Coupon",
        readonly=True,
        help="What the order came to. An order with two coupons counts half with each, "
        "so that the sum is what was sold.",
    )
    rating = fields.Float(readonly=True, aggregator="avg", digits=(16, 1))

    def init(self):
        tools.drop_view_if_exists(self.env.cr, "coupon_report_category_rel")
        tools.drop_view_if_exists(self.env.cr, self._table)
        self.env.cr.execute(
            f"CREATE VIEW {self._table} AS (SELECT {self._select()} {self._from()})"
        )
        self.env.cr.execute(
            """
            CREATE VIEW coupon_report_category_rel AS (
                SELECT c.id AS coupon_id, t.category_id
                  FROM loyalty_card c
                  LEFT JOIN coupon_redemption r
                    ON r.coupon_id = c.id AND r.state = 'redeemed'
                  JOIN res_partner_res_partner_category_rel t
                    ON t.partner_id = coalesce(r.partner_id, c.partner_id)
                 WHERE c.wechat_state NOT IN ('waiting', 'gifted'))
            """
        )

    def _select(self):
        """Return the columns of the view; add-ons for more channels add to them."""
        return """
            c.id,
            c.id AS coupon_id,
            c.coupon_template_id AS template_id,
            t.channel,
            t.attribute,
            c.company_id,
            r.company_id AS used_company_id,
            coalesce(r.partner_id, c.partner_id) AS partner_id,
            r.config_id,
            c.create_date AS issued_at,
            r.redeemed_at,
            s.stage,
            1 AS issued,
            (s.stage = 'held')::int AS held,
            (s.stage = 'redeemed')::int AS redeemed,
            (s.stage = 'expired')::int AS expired,
            CASE WHEN s.stage = 'redeemed' THEN 100.0 ELSE 0.0 END AS rate,
            extract(epoch FROM r.redeemed_at - c.create_date) / 86400 AS days_to_use,
            r.discount_amount,
            r.order_amount / (
                SELECT count(*) FROM coupon_redemption o
                 WHERE o.order_uuid = r.order_uuid AND o.company_id = r.company_id
                   AND o.state = 'redeemed') AS order_amount,
            nullif(r.rating_last_value, 0) AS rating
        """

    def _from(self):
        return """
            FROM loyalty_card c
            JOIN coupon_template t ON t.id = c.coupon_template_id
            LEFT JOIN coupon_redemption r
              ON r.coupon_id = c.id AND r.state = 'redeemed'
            CROSS JOIN LATERAL (
                SELECT CASE
                    WHEN r.id IS NOT NULL OR c.wechat_state = 'used' THEN 'redeemed'
                    WHEN c.wechat_state = 'expired'
                      OR c.wechat_valid_to < now() AT TIME ZONE 'UTC' THEN 'expired'
                    WHEN c.wechat_state IN ('void', 'deleted') OR NOT c.active
                        THEN 'void'
                    ELSE 'held' END AS stage) s
            -- A code that nobody has got yet is not issued; one that was given to a
            -- friend goes on as the friend's.
            WHERE c.wechat_state NOT IN ('waiting', 'gifted')
        """
