import logging

from psycopg2.errors import UniqueViolation

from odoo import api, fields, models

_logger = logging.getLogger(__name__)


class CouponRiskEvent(models.Model):
    """What a risk rule has noticed. Written once; people only say that they saw it."""

    _name = "coupon.risk.event"
    _description = "Coupon Risk"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"
    _rec_name = "rule_id"
    _mail_post_access = "read"

    rule_id = fields.Many2one(
        "coupon.risk.rule",
        required=True,
        readonly=True,
        index=True,
        ondelete="restrict",
    )
    key = fields.Char(required=True, readonly=True)
    kind = fields.Selection(
        selection=lambda self: (
            self.env["coupon.risk.rule"]
            ._fields["kind"]
            ._description_selection(self.env)
        ),
        required=True,
        readonly=True,
    )
    action = fields.Selection(
        [("warn", "Let through"), ("block", "Refused")],
        string="What Was Done",
        required=True,
        readonly=True,
    )
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True, ondelete="restrict"
    )
    config_id = fields.Many2one(
        "pos.config", string="Shop", readonly=True, ondelete="set null"
    )
    user_id = fields.Many2one(
        "res.users", string="Cashier", readonly=True, ondelete="set null"
    )
    partner_id = fields.Many2one(
        "res.partner", string="Customer", readonly=True, ondelete="set null"
    )
    template_id = fields.Many2one(
        "coupon.template", readonly=True, index="btree_not_null", ondelete="set null"
    )
    coupon_id = fields.Many2one(
        "loyalty.card", readonly=True, index="btree_not_null", ondelete="set null"
    )
    order_uuid = fields.Char(string="Order UUID", readonly=True)
    values = fields.Json(readonly=True)
    description = fields.Char(compute="_compute_description")
    reviewed = fields.Boolean(readonly=True)
    reviewed_by_id = fields.Many2one(
        "res.users", string="Seen By", readonly=True, ondelete="set null"
    )

    _once = models.Constraint("UNIQUE(rule_id, key)", "It was noticed already.")

    @api.depends("kind", "values")
    @api.depends_context("lang")
    def _compute_description(self):
        for event in self:
            values = event.values or {}
            event.description = {
                "wrong_codes": self.env._(
                    "More than %(count)s unknown codes within %(minutes)s minutes",
                    count=values.get("count", ""),
                    minutes=values.get("minutes", ""),
                ),
                "customer_uses": self.env._(
                    "%(count)s coupons before this one",
                    count=values.get("count", ""),
                ),
                "closed_hours": self.env._(
                    "At %(time)s, when the shop is closed", time=values.get("time", "")
                ),
                "value": self.env._(
                    "A discount of ¥%(amount)s", amount=values.get("amount", "")
                ),
            }[event.kind]

    @api.model
    def _add(self, vals):
        """Add an event, unless the rule has noticed the same before.

        :return: the new record, or an empty one
        """
        if self.search_count(
            [("rule_id", "=", vals["rule_id"]), ("key", "=", vals["key"])], limit=1
        ):
            return self.browse()
        try:
            with self.env.cr.savepoint():
                return self.create(vals)
        except UniqueViolation:
            return self.browse()

    @api.model
    def _keep(self, vals):
        """Add an event once more if the request is undone.

        A till is told no and goes on; a sales order or an online payment that is
        refused takes back what was written.

        :param dict vals: as for :meth:`_add`
        """
        env = self.env

        @env.cr.postrollback.add
        def _add_again():
            # Not before: with our locks gone, nothing here waits for ourselves.
            try:
                with env.registry.cursor() as cr:
                    events = self.with_env(env(cr=cr))
                    known = events._without_missing(vals)
                    if known["rule_id"]:
                        events._add(known)._tell_manager()
            except Exception:
                # The user reads why the request was refused, not this.
                _logger.exception("Risk of order %s", vals.get("order_uuid"))

    @api.model
    def _without_missing(self, vals):
        """Leave out records that went with the request which made them."""
        return {
            name: False
            if value
            and self._fields[name].type == "many2one"
            and not self.env[self._fields[name].comodel_name].browse(value).exists()
            else value
            for name, value in vals.items()
        }

    def _tell_manager(self):
        for event in self:
            manager = self.env["coupon.redemption"]._manager_of(
                event.company_id, event.template_id.create_uid
            )
            if manager:
                told = event.with_context(
                    lang=manager.lang, tz=manager.tz, mail_activity_quick_update=True
                )
                told.activity_schedule(
                    "mail.mail_activity_data_warning",
                    summary=told.rule_id.name,
                    note=told.description,
                    user_id=manager.id,
                )

    def action_reviewed(self):
        """Say that a manager has looked into it."""
        self.env["coupon.template"]._check_manager()
        self.check_access("read")
        # sudo: see the model; nothing else is written.
        self.sudo().write({"reviewed": True, "reviewed_by_id": self.env.uid})
        self.sudo().activity_unlink(["mail.mail_activity_data_warning"])
