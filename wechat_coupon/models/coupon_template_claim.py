import base64

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import consteq, format_date, hmac
from odoo.tools.urls import urljoin

from odoo.addons.wechat_base.tools import money

_SCOPE = "wechat_coupon-my"
_QR_PIXELS = 580


class CouponTemplate(models.Model):
    """How customers get a coupon by themselves: link, QR code, poster."""

    _inherit = "coupon.template"

    def _poster_url(self):
        """Return what the poster's QR code holds.

        Who only reads the template prints the link that it has; to print makes none.

        :raises UserError: if customers cannot get the coupon now, or there is no link
        """
        self.ensure_one()
        may_make = self._may_make_link()
        url = self.state == "live" and (
            self._channel()._claim_url(self) if may_make else self._claim_url_known()
        )
        if url:
            return url
        if self.state == "live" and not may_make:
            raise UserError(
                self.env._(
                    "“%(template)s” has no link for customers yet. Ask a coupon "
                    "manager of %(company)s to press “Get Link”.",
                    template=self.name,
                    company=self.company_id.sudo().name,
                )
            )
        raise UserError(
            self.env._(
                "“%(template)s” has no link for customers. Publish it first.",
                template=self.name,
            )
        )

    def _may_make_link(self):
        """Whether the user may hand the coupon out by a link."""
        self.ensure_one()
        manager = self.env.user.has_group("wechat_coupon.coupon_group_manager")
        return self.env.su or (manager and self.has_access("write"))

    def _claim_url_known(self):
        """Return the link that the template has, ``None`` if it is good no more."""
        self.ensure_one()
        return self._claim_url_kept() if self.claim_url_until else self.claim_url

    @api.model
    def _qr_data_uri(self, text):
        """Return a QR code as the address of a picture, with its quiet zone.

        :rtype: str
        """
        # sudo: the method that draws is the same for all reports.
        picture = (
            self.env["ir.actions.report"]
            .sudo()
            .barcode("QR", text, width=_QR_PIXELS, height=_QR_PIXELS, barLevel="M")
        )
        return f"data:image/png;base64,{base64.b64encode(picture).decode()}"

    def _condition_texts(self):
        """Say in words what has to be met to use the coupon.

        :return: a sentence each
        :rtype: list[str]
        """
        self.ensure_one()
        texts = []
        if self.threshold_fen:
            texts.append(
                self.env._(
                    "For a purchase of ¥%(amount)s or more.",
                    amount=_short(self.threshold_fen),
                )
            )
        if self.max_discount_fen and self.coupon_type == "percent":
            texts.append(
                self.env._(
                    "At most ¥%(amount)s off.", amount=_short(self.max_discount_fen)
                )
            )
        goods = [
            *self.product_ids.mapped("display_name"),
            *self.product_category_id.mapped("name"),
            *self.product_tag_id.mapped("name"),
        ]
        if goods:
            texts.append(self.env._("For: %(goods)s.", goods=", ".join(goods)))
        # sudo: a shop may be in a branch that the user does not see.
        shops = self.sudo().pos_config_ids.mapped("name")
        if shops:
            texts.append(self.env._("In: %(shops)s.", shops=", ".join(shops)))
        if self.description:
            texts += self.description.splitlines()
        return texts

    def _validity_text(self):
        """Say in words when the coupon is valid.

        :rtype: str
        """
        self.ensure_one()
        if self.date_type == "range":
            return self.env._(
                "Valid from %(first)s to %(last)s",
                first=format_date(self.env, self.date_from),
                last=format_date(self.env, self.date_to),
            )
        text = self.env._("Valid for %(days)s days", days=self.term_days)
        if self.term_begin_days:
            text = self.env._(
                "Valid for %(days)s days, beginning %(begin)s days after receipt",
                days=self.term_days,
                begin=self.term_begin_days,
            )
        if self.term_latest:
            return self.env._(
                "%(text)s, until %(last)s at the latest",
                text=text,
                last=format_date(self.env, self.term_latest),
            )
        return text


class CouponChannelLocal(models.AbstractModel):
    _inherit = "coupon.channel.local"

    def _claim_url(self, template):
        """Override of ``coupon.channel``: our own page."""
        # sudo: nobody reads links; the token is shown to whoever prints it.
        link_sudo = self.env["coupon.claim.link"].sudo()._get(template)
        url = urljoin(template.get_base_url(), f"/coupon/claim/{link_sudo.token}")
        if template.claim_url != url:
            template._write_guarded({"claim_url": url})
        return url


class LoyaltyCard(models.Model):
    _inherit = "loyalty.card"

    def _wechat_my_path(self):
        """Return the address of the page on which the customer shows the coupon."""
        self.ensure_one()
        return f"/coupon/my/{self._wechat_my_token()}"

    def _wechat_my_token(self):
        # sudo: the secret of the database signs it.
        signature = hmac(self.sudo().env, _SCOPE, self.id)
        return f"{self.id}-{signature[:40]}"

    @api.model
    def _wechat_by_token(self, token):
        """Return the coupon whose page has a token.

        :rtype: ``loyalty.card`` record with sudo, maybe empty
        """
        number = token.partition("-")[0]
        # sudo: a customer is no user; the token says whose coupon it is.
        cards_sudo = self.sudo()
        if not (token.isascii() and number.isdigit() and len(number) < 10):
            return cards_sudo.browse()
        card_sudo = cards_sudo.browse(int(number))
        if not consteq(token, card_sudo._wechat_my_token()):
            return cards_sudo.browse()
        return card_sudo.exists().filtered("coupon_template_id")

    def _wechat_validity_text(self):
        """Say in words until when this coupon is valid.

        :rtype: str
        """
        self.ensure_one()
        if self.wechat_valid_from and self.wechat_valid_from > fields.Datetime.now():
            return self.env._(
                "Valid from %(first)s to %(last)s",
                first=self._wechat_date(self.wechat_valid_from),
                last=self._wechat_date(self.wechat_valid_to),
            )
        if not self.wechat_valid_to:
            return self.env._("Without a last day")
        return self.env._(
            "Valid until %(last)s", last=self._wechat_date(self.wechat_valid_to)
        )


def _short(fen):
    """Return an amount of fen without needless zeros."""
    return money.format_fen(fen).removesuffix(".00")
