from odoo import api, fields, models


class CouponRedemptionLog(models.Model):
    """Every later change of a redemption, whoever makes it and by whatever way.

    PostgreSQL writes it, so that a change by SQL is in it as well, and refuses to
    change it.
    """

    _name = "coupon.redemption.log"
    _description = "Changes of a Coupon Redemption"
    _order = "id desc"
    _log_access = False
    _rec_name = "changed_at"

    redemption_id = fields.Many2one(
        "coupon.redemption", readonly=True, index=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        "res.company", readonly=True, index=True, ondelete="restrict"
    )
    changed_at = fields.Datetime(readonly=True)
    user_id = fields.Many2one(
        "res.users", string="By", readonly=True, ondelete="restrict"
    )
    changes = fields.Json(readonly=True)
    description = fields.Char(string="Change", compute="_compute_description")

    @api.depends("changes")
    @api.depends_context("lang")
    def _compute_description(self):
        redemptions = self.env["coupon.redemption"]
        for log in self:
            log.description = "; ".join(
                f"{redemptions._fields[name]._description_string(self.env)}: "
                f"{self._shown(name, old)} → {self._shown(name, new)}"
                for name, (old, new) in (log.changes or {}).items()
                if name in redemptions._fields
            )

    @api.model
    def _shown(self, name, value):
        field = self.env["coupon.redemption"]._fields[name]
        if value is None:
            return "–"
        if field.type == "selection":
            return dict(field._description_selection(self.env)).get(value, value)
        if field.type == "many2one":
            # sudo: names of what the ledger points to, as its own views show them.
            record = self.env[field.comodel_name].sudo().browse(value).exists()
            return record.display_name or value
        return value

    def init(self):
        """Have PostgreSQL keep the log."""
        self.env.cr.execute(
            """
            CREATE OR REPLACE FUNCTION coupon_redemption_log_change()
            RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE
                found jsonb;
            BEGIN
                SELECT jsonb_object_agg(n.key, jsonb_build_array(o.value, n.value))
                  INTO found
                  FROM jsonb_each(to_jsonb(NEW)) AS n
                  JOIN jsonb_each(to_jsonb(OLD)) AS o ON o.key = n.key
                 WHERE n.value IS DISTINCT FROM o.value
                   AND n.key = ANY(ARRAY[
                       'state',
                       'coupon_id',
                       'template_id',
                       'order_uuid',
                       'pos_order_id',
                       'sale_order_id',
                       'config_id',
                       'user_id',
                       'partner_id',
                       'discount_fen',
                       'order_total_fen',
                       'redeemed_at',
                       'return_reason',
                       'needs_attention',
                       'settled_at',
                       'settled_by_id',
                       'settle_reason']);
                IF found IS NOT NULL THEN
                    INSERT INTO coupon_redemption_log (
                        redemption_id, company_id, changed_at, user_id, changes)
                    VALUES (NEW.id, NEW.company_id, now() AT TIME ZONE 'UTC',
                            NEW.write_uid, found);
                END IF;
                RETURN NULL;
            END $$;
            CREATE OR REPLACE FUNCTION coupon_redemption_log_keep()
            RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'The log of coupon redemptions cannot be changed.';
            END $$;
            -- PostgreSQL 13 does not replace triggers.
            DROP TRIGGER IF EXISTS coupon_redemption_log_change ON coupon_redemption;
            CREATE TRIGGER coupon_redemption_log_change
                AFTER UPDATE ON coupon_redemption FOR EACH ROW
                WHEN (OLD.state IN ('redeemed', 'returned', 'conflict'))
                EXECUTE FUNCTION coupon_redemption_log_change();
            DROP TRIGGER IF EXISTS coupon_redemption_log_keep ON coupon_redemption_log;
            CREATE TRIGGER coupon_redemption_log_keep
                BEFORE UPDATE OR DELETE ON coupon_redemption_log FOR EACH ROW
                EXECUTE FUNCTION coupon_redemption_log_keep();
            """
        )


class CouponRedemption(models.Model):
    _inherit = "coupon.redemption"

    log_ids = fields.One2many(
        "coupon.redemption.log", "redemption_id", string="Changes", readonly=True
    )
