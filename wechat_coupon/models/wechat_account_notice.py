import re

from odoo import api, fields, models
from odoo.exceptions import ValidationError

_LINE = re.compile(r"([a-z_]+\d+)\s*=\s*([a-z_]+)")


class WechatAccount(models.Model):
    _inherit = "wechat.account"

    notice_template = fields.Char(
        string="Message After a Redemption",
        help="ID of the template message that WeChat shows in the account's console. "
        "Customers who follow the account get it when their coupon was used.",
    )
    notice_keys = fields.Text(
        string="Its Keywords",
        default="thing1=coupon\namount2=saved\ntime3=time\nthing4=shop",
        help="One line for each keyword of the message: the keyword, =, and what it "
        "shows: coupon, saved, paid, time, shop or order.",
    )

    @api.constrains("notice_template", "notice_keys")
    def _check_notice_keys(self):
        for account in self.filtered("notice_template"):
            account._notice_keys()

    def _notice_keys(self):
        """Return the keywords of the message with the names of their values.

        :rtype: list
        :raises ValidationError: if a line makes no sense
        """
        self.ensure_one()
        names = self.env["coupon.notice"]._value_names()
        found = []
        for line in filter(None, map(str.strip, (self.notice_keys or "").splitlines())):
            match = _LINE.fullmatch(line)
            if not match or match.group(2) not in names:
                raise ValidationError(
                    self.env._(
                        "“%(line)s” is no keyword of a message. Write it like "
                        "thing1=coupon; after the = may stand: %(names)s.",
                        line=line,
                        names=", ".join(names),
                    )
                )
            found.append(match.groups())
        return found
