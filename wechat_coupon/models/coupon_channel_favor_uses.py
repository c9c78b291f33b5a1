"""Cash coupons: what was used anywhere, by WeChat's file of each day (核销明细)."""

import csv
import hashlib
import io
import logging
import re
import tempfile
from datetime import timedelta
from urllib.parse import quote

from odoo import api, fields, models
from odoo.exceptions import UserError

from odoo.addons.wechat_base.tools.exceptions import WechatError

from .. import const

_logger = logging.getLogger(__name__)

_MAX_BYTES = 64 * 1024 * 1024
_COUPON, _PAYMENT = "优惠id", "支付单号"
_NUMBER = re.compile(r"\d{1,32}", re.ASCII)
# Days that are asked for again: a file can be late, and the server off.
_DAYS = 3


class CouponChannelFavor(models.AbstractModel):
    _inherit = "coupon.channel.favor"

    @api.model
    def _cron_fetch_uses(self):
        """Every day: mark what was used past our tills as used."""
        today = fields.Date.context_today(self.with_context(tz=const.WECHAT_TZ))
        first = today - timedelta(days=_DAYS)
        templates = self.env["coupon.template"].search(
            [
                ("channel", "=", "favor"),
                ("remote_id", "!=", False),
                ("state", "in", ("live", "paused", "ended")),
                ("date_to", ">=", first),
            ],
            order="id",
        )
        cron = self.env["ir.cron"]
        cron._commit_progress(remaining=len(templates))
        for template in templates:
            self._fetch_days(template, first, today - timedelta(days=1))
            if not cron._commit_progress(1):
                return

    def _fetch_days(self, template, first, last):
        day = max(first, template.date_from)
        while day <= last:
            try:
                with self.env.cr.savepoint():
                    self._fetch_uses(template, day)
            except (UserError, ValueError):
                # It is not there yet, or not as it was; the next days ask again.
                _logger.info("Uses of %s on %s", template, day, exc_info=True)
            day += timedelta(days=1)

    @api.model
    def _fetch_uses(self, template, day):
        """Fetch the uses of a stock on a day; coupons that we missed become used.

        WeChat docs: GET /v3/marketing/favor/stocks/{stock_id}/use-flow-by-day

        :param date day: in Beijing; the file is there at 10:00 of the next day
        :return: number of uses in the file, and the coupons that were used elsewhere
        :rtype: tuple
        :raises WechatError: if it is not there
        :raises ValueError: if it is not what was offered, or no such file
        """
        path = f"/stocks/{quote(template.remote_id)}/use-flow-by-day"
        params = {"bill_date": day.isoformat()}
        offer = self._call(template, "GET", path, params=params)
        numbers = self._read_uses(self._download(template, offer))
        if str(len(numbers)) != str(offer.get("stock_useflow_count")):
            raise ValueError("the file has another number of uses than was said")
        return len(numbers), self._used_elsewhere(template, numbers)

    def _download(self, template, offer):
        # sudo: the merchant's keys are not for users of coupons.
        client = template.merchant_id.sudo()._get_pay_client()
        with tempfile.TemporaryFile() as file:
            client.download(offer.get("url"), file, _MAX_BYTES)
            file.seek(0)
            content = file.read()
        digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        if digest != str(offer.get("stock_useflow_hash")).lower():
            raise ValueError("the file is not the one that was offered")
        return content.decode("utf-8-sig")

    @api.model
    def _read_uses(self, text):
        """Return the numbers of the coupons in a file of uses.

        Each cell begins with a backtick; a line with the count ends the file.

        :rtype: list[str]
        :raises ValueError: if it is no such file
        """
        reader = csv.reader(io.StringIO(text))
        titles = next(reader, [])
        if _COUPON not in titles or _PAYMENT not in titles:
            raise ValueError("the file has no column of coupons")
        column = titles.index(_COUPON)
        numbers = []
        for cells in reader:
            if len(cells) < len(titles):
                break
            number = cells[column].lstrip("`").strip()
            if not _NUMBER.fullmatch(number):
                raise ValueError("a coupon's number is none")
            numbers.append(number)
        return numbers

    def _used_elsewhere(self, template, numbers):
        """Mark coupons as used that the ledger has no use of."""
        redemptions = self.env["coupon.redemption"].sudo()
        cards = self.env["loyalty.card"].sudo()
        known = set(
            redemptions.search(
                [
                    ("template_id", "=", template.id),
                    ("coupon_id.code", "in", numbers),
                    ("state", "!=", "released"),
                ]
            ).mapped("coupon_id.code")
        )
        found = cards
        for number in dict.fromkeys(numbers):
            if number in known:
                continue
            coupon = self._coupon(template, number, None)
            coupon._wechat_lock()
            if coupon.wechat_state != "used":
                coupon._wechat_set_state("used", wechat_used_outside=True)
                found |= coupon
        return found


class CouponTemplate(models.Model):
    _inherit = "coupon.template"

    def action_fetch_uses(self):
        """Compare yesterday's uses with WeChat's file."""
        self._check_manager()
        self.check_access("write")
        self.ensure_one()
        today = fields.Date.context_today(self.with_context(tz=const.WECHAT_TZ))
        channel = self.env["coupon.channel.favor"]
        try:
            count, elsewhere = channel._fetch_uses(self, today - timedelta(days=1))
        except WechatError as error:
            raise UserError(
                self.env._(
                    "WeChat has no file of yesterday's uses: %(error)s It comes at "
                    "10:00 in the morning.",
                    error=error,
                )
            ) from error
        except ValueError as error:
            raise UserError(
                self.env._("WeChat's file of uses could not be read.")
            ) from error
        return self._notify(
            self.env._(
                "Used yesterday: %(count)s, %(new)s of them not at our tills.",
                count=count,
                new=len(elsewhere),
            )
        )
