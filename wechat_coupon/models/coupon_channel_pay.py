import base64
from datetime import timedelta

import pytz

from odoo import api, fields, models
from odoo.exceptions import UserError

from odoo.addons.wechat_base.tools.exceptions import WechatConfigError, WechatRefused

from .. import const

_NOT_ALLOWED = ("NO_AUTH", "NOAUTH", "REQUEST_BLOCKED")


class CouponTemplate(models.Model):
    _inherit = "coupon.template"

    merchant_id = fields.Many2one(
        "wechat.merchant",
        string="WeChat Pay Merchant",
        ondelete="restrict",
        index="btree_not_null",
        check_company=True,
    )
    ordered_at = fields.Datetime(
        string="Published On",
        readonly=True,
        copy=False,
        help="What is sent again has to be the same, so times count from here.",
    )
    goods_text = fields.Char(
        string="Good For", help="What the phone says it is for; 15 characters."
    )

    def action_publish(self):
        """Extended: times of what is sent count from now."""
        self._check_manager()
        self.check_access("write")
        for template in self.filtered(lambda one: one.state == "draft"):
            if template.task_state not in ("pending", "sending", "unknown"):
                template._write_guarded({"ordered_at": fields.Datetime.now()})
        return super().action_publish()

    @api.onchange("merchant_id")
    def _onchange_merchant_id(self):
        if self.merchant_id and not self.account_id:
            self.account_id = self.merchant_id.account_ids[:1]


class CouponChannelPay(models.AbstractModel):
    """What the coupons of WeChat Pay have in common: they live at a merchant."""

    _name = "coupon.channel.pay"
    _inherit = "coupon.channel"
    _description = "Coupon Channel: WeChat Pay"

    _is_remote = True
    _uses_merchant = True
    #: longest texts in characters, by field of the template
    _characters: dict[str, int] = {}
    #: `/v3/marketing/…`
    _path = ""

    @api.model
    def _rate_key(self, template):
        """Override of ``coupon.channel``: the limits are per merchant."""
        return f"coupon:{template.merchant_id.id}"

    # === CALLS === #

    def _call(self, template, method, path, body=None, number=None, params=None):
        """Send a request of the template's merchant and return its answer.

        :param str path: below :attr:`_path`
        :param str number: the stored number in ``body``
        """
        # sudo: the merchant's keys are not for users of coupons.
        client = template.merchant_id.sudo()._get_pay_client()
        try:
            return client.request(
                method, f"{self._path}{path}", params, body, request_no=number
            ).data
        except WechatConfigError as error:
            if error.code in _NOT_ALLOWED:
                raise WechatRefused(
                    self._not_allowed(), code=error.code, request_id=error.request_id
                ) from error
            raise

    def _not_allowed(self):
        """Return the sentence for a merchant who may not use this channel."""
        return self.env._(
            "WeChat Pay does not let this merchant use such coupons. Apply for them in "
            "the merchant platform, or choose another channel."
        )

    def _appid(self, template):
        return template.account_id.sudo().appid

    def _set_callback(self, template):
        """Tell WeChat where it reports what becomes of coupons.

        One address for a merchant, the same however often it is told.
        """
        # sudo: see `_call`.
        merchant_sudo = template.merchant_id.sudo()
        body = {"mchid": merchant_sudo.mchid, "notify_url": merchant_sudo.notify_url}
        self._call(template, "POST", "/callbacks", body, merchant_sudo.mchid)

    def _upload_image(self, template, path, name="logo"):
        """Return WeChat's address of a picture of the template, or ``None``.

        :param str name: field of the picture
        """
        picture = template.with_context(bin_size=False)[name]
        if not picture:
            return None
        client = template.merchant_id.sudo()._get_pay_client()
        answer = client.upload_image(path, f"{name}.png", base64.b64decode(picture))
        return answer.get("media_url")

    # === CHECKS === #

    def _check_publish(self, template):
        """Override of ``coupon.channel``: WeChat's limits, before anything is sent."""
        if template.currency_id.name != "CNY":
            raise UserError(
                self.env._("WeChat coupons are in yuan; the company must use CNY.")
            )
        if template.account_id not in template.merchant_id.account_ids:
            raise UserError(
                self.env._(
                    "“%(account)s” is not bound to the merchant “%(merchant)s”.",
                    account=template.account_id.name,
                    merchant=template.merchant_id.name,
                )
            )
        self._check_texts(template)

    def _check_texts(self, template):
        for name, limit in self._characters.items():
            size = len(template[name] or "")
            if size > limit:
                raise UserError(
                    self.env._(
                        "“%(field)s” is too long for WeChat: it has %(size)s "
                        "characters, and %(limit)s are allowed.",
                        field=template._fields[name]._description_string(self.env),
                        size=size,
                        limit=limit,
                    )
                )

    # === TIMES === #

    def _time(self, moment):
        """Return a UTC datetime as WeChat writes it, in Beijing's time."""
        zone = pytz.timezone(const.WECHAT_TZ)
        return pytz.utc.localize(moment).astimezone(zone).isoformat(timespec="seconds")

    def _moment(self, text):
        """Return WeChat's time as Odoo keeps it, ``None`` for nothing."""
        if not text:
            return None
        found = fields.Datetime.to_datetime(text[:19].replace("T", " "))
        offset = text[-6:]
        hours, minutes = int(offset[1:3]), int(offset[4:])
        sign = -1 if offset[0] == "-" else 1
        return found - sign * timedelta(hours=hours, minutes=minutes)

    def _ordered_at(self, template):
        return template.ordered_at or fields.Datetime.now()

    def _span(self, template, most_days):
        """Return the first and the last moment of the template's validity."""
        if template.date_type == "range":
            return template._validity()
        now = self._ordered_at(template)
        end = now + timedelta(days=most_days - 1)
        if template.term_latest:
            end = min(end, template._end_of_day(template.term_latest))
        return now, end

    # === COUPONS === #

    def _templates(self, merchant, stock_id):
        """Return the template of a merchant's stock, maybe none."""
        # sudo: events find templates whoever runs them.
        return (
            self.env["coupon.template"]
            .sudo()
            .with_context(active_test=False)
            .search(
                [
                    ("channel", "=", self._name.removeprefix("coupon.channel.")),
                    ("merchant_id", "=", merchant.id),
                    ("remote_id", "=", stock_id),
                ],
                limit=1,
            )
        )
