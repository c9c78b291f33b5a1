import logging
from collections import defaultdict
from datetime import date, timedelta

from odoo import api, fields, models
from odoo.tools import SQL

from odoo.addons.wechat_base.tools.exceptions import WechatError

from .. import const

_logger = logging.getLogger(__name__)

# Column -> field of WeChat's answer.
_FIGURES = {
    "viewed": "view_cnt",
    "viewers": "view_user",
    "received": "receive_cnt",
    "receivers": "receive_user",
    "used": "verify_cnt",
    "users": "verify_user",
    "given": "given_cnt",
    "givers": "given_user",
    "expired": "expire_cnt",
    "expirers": "expire_user",
}
_MOST = 2**31 - 1


class CouponCardStat(models.Model):
    """What WeChat counts: one row for each day and card.

    It is WeChat's side of the story; what was redeemed here is in the ledger.
    """

    _name = "coupon.card.stat"
    _description = "WeChat's Coupon Figures"
    _order = "day desc, id desc"
    _rec_name = "day"

    template_id = fields.Many2one(
        "coupon.template", required=True, readonly=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        related="template_id.company_id", store=True, index=True
    )
    day = fields.Date(required=True, readonly=True)
    viewed = fields.Integer(readonly=True)
    viewers = fields.Integer(readonly=True, aggregator=False)
    received = fields.Integer(readonly=True)
    receivers = fields.Integer(readonly=True, aggregator=False)
    used = fields.Integer(readonly=True)
    users = fields.Integer(string="Customers Who Used", readonly=True, aggregator=False)
    given = fields.Integer(string="Given to Friends", readonly=True)
    givers = fields.Integer(readonly=True, aggregator=False)
    expired = fields.Integer(readonly=True)
    expirers = fields.Integer(
        string="Customers of Expired Coupons", readonly=True, aggregator=False
    )

    _day_unique = models.Constraint(
        "UNIQUE(template_id, day)", "There is one row for each day and template."
    )

    @api.model
    def _cron_fetch(self):
        """Fetch what WeChat has counted since the last time; today comes tomorrow."""
        accounts = self.env["wechat.account"].search(
            [("environment", "!=", "disabled"), ("account_type", "!=", "mini_program")]
        )
        accounts = accounts.filtered(
            lambda account: self.env["coupon.channel.card"]._templates(account)
        )
        for done, account in enumerate(accounts, start=1):
            try:
                self._fetch(account)
            except WechatError:
                # The next day asks for these days again.
                _logger.warning("Figures of %s", account, exc_info=True)
            left = self.env["ir.cron"]._commit_progress(
                1, remaining=len(accounts) - done
            )
            if not left:
                return

    @api.model
    def _fetch(self, account):
        """Fetch an account's figures; days that we have are fetched once more.

        WeChat goes on counting for a day or two.

        :return: number of rows
        """
        channel = self.env["coupon.channel.card"]
        templates = channel._templates(account)
        last = self.search([("template_id", "in", templates.ids)], limit=1).day
        end = self._today() - timedelta(days=1)
        begin = end - timedelta(days=const.CARD_STAT_DAYS - 1)
        if last:
            begin = max(begin, last - timedelta(days=2))
        by_card = {template.remote_id: template.id for template in templates}
        rows = []
        for row in channel._fetch_stats(account, begin, end):
            with channel._reading("the figures"):
                template_id = by_card.get(row["card_id"])
                if template_id:
                    day = date.fromisoformat(row["ref_date"])
                    rows.append((template_id, day, _figures(row)))
        return self._put(rows)

    @api.model
    def _today(self):
        """Return the day that it is at WeChat."""
        zoned = self.with_context(tz=const.WECHAT_TZ)
        return fields.Date.context_today(zoned)

    @api.model
    def _put(self, rows):
        """Write rows; what there is of the same day is replaced.

        :param list rows: ``(template id, day, {column: number})``
        """
        merged = defaultdict(dict)
        for template_id, day, figures in rows:
            merged[template_id, day] = figures
        if not merged:
            return 0
        columns = list(_FIGURES)
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO coupon_card_stat (
                    template_id, company_id, day, %(columns)s,
                    create_uid, write_uid, create_date, write_date)
                SELECT v.*, %(uid)s, %(uid)s, NOW() AT TIME ZONE 'UTC',
                       NOW() AT TIME ZONE 'UTC'
                  FROM (VALUES %(rows)s) AS v
                ON CONFLICT (template_id, day) DO UPDATE SET %(changes)s,
                    write_date = EXCLUDED.write_date
                """,
                columns=SQL(", ").join(map(SQL.identifier, columns)),
                uid=self.env.uid,
                rows=SQL(", ").join(
                    SQL(
                        "%s",
                        (
                            template_id,
                            self.env["coupon.template"]
                            .browse(template_id)
                            .company_id.id,
                            day,
                            *(figures[name] for name in columns),
                        ),
                    )
                    for (template_id, day), figures in merged.items()
                ),
                changes=SQL(", ").join(
                    SQL("%s = EXCLUDED.%s", SQL.identifier(name), SQL.identifier(name))
                    for name in columns
                ),
            )
        )
        self.invalidate_model()
        return len(merged)


def _figures(row):
    return {
        column: max(0, min(int(row.get(name) or 0), _MOST))
        for column, name in _FIGURES.items()
    }
