"""The live view: what tills have redeemed today, as it happens."""

from datetime import datetime, time

import pytz

from odoo import api, fields, models

from .. import const

_LATEST = 15


class CouponRedemption(models.Model):
    _inherit = "coupon.redemption"

    @api.model
    def get_live_data(self):
        """Return today's redemptions in the user's companies and time zone.

        Amounts are in the currency of the user's company; what other currencies a
        company has is in its own reports.

        :return: ``{"totals", "hours", "shops", "templates", "latest"}``
        :rtype: dict
        :raises AccessError: if the user may not read the ledger
        """
        self.check_access("read")
        begin = self._live_begin()
        domain = [("state", "=", "redeemed"), ("redeemed_at", ">=", begin)]
        count, saved = self._read_group(
            domain, aggregates=["__count", "discount_amount:sum"]
        )[0]
        # An order with two coupons was sold once.
        orders = self._read_group(domain, ["order_uuid"], ["order_amount:max"])
        return {
            "totals": {
                "count": count,
                "saved": saved or 0,
                "sold": sum(sold or 0 for _uuid, sold in orders),
                "held": self.search_count([("state", "=", "reserved")]),
                "attention": self.search_count([("needs_attention", "=", True)]),
            },
            "currency_id": self.env.company.currency_id.id,
            "hours": self._live_hours(domain),
            "shops": self._live_groups(domain, "config_id"),
            "templates": self._live_groups(domain, "template_id"),
            "latest": self._live_latest(domain),
        }

    def _live_begin(self):
        """Return when the user's day began, in UTC."""
        zone = pytz.timezone(self._live_zone())
        today = datetime.now(zone).date()
        midnight = zone.localize(datetime.combine(today, time.min))
        return midnight.astimezone(pytz.utc).replace(tzinfo=None)

    def _live_zone(self):
        """Return the user's time zone; who has none sees the shop's day."""
        user = self.env.user
        return user.tz or self.env.company.partner_id.tz or const.WECHAT_TZ

    def _live_hours(self, domain):
        zoned = self.with_context(tz=self._live_zone())
        groups = zoned._read_group(domain, ["redeemed_at:hour_number"], ["__count"])
        counts = dict(groups)
        return [counts.get(hour, 0) for hour in range(24)]

    def _live_groups(self, domain, name):
        groups = self._read_group(
            domain, [name], ["__count", "discount_amount:sum"], order="__count desc"
        )
        return [
            {
                "id": record.id,
                # sudo: the name of what the ledger points to, as its views show it.
                "name": record.sudo().display_name or "",
                "count": count,
                "saved": saved or 0,
            }
            for record, count, saved in groups
        ]

    def _live_latest(self, domain):
        return [
            {
                "id": row.id,
                "time": self._local_of_user(row.redeemed_at),
                "template": row.template_id.name,
                "shop": row.config_id.sudo().name or "",
                "cashier": row.user_id.sudo().name or "",
                "order": row.order_name or "",
                "saved": row.discount_amount,
                "attention": row.needs_attention,
            }
            for row in self.search(
                domain, order="redeemed_at desc, id desc", limit=_LATEST
            )
        ]

    def _local_of_user(self, value):
        zoned = self.with_context(tz=self._live_zone())
        return fields.Datetime.context_timestamp(zoned, value).strftime("%H:%M:%S")
