import base64

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools.misc import consteq, format_date, hmac
from odoo.tools.urls import urljoin

from odoo.addons.wechat_base.tools import money
from odoo.addons.wechat_base.tools.columns import Fen

_SCOPE = "wechat_coupon-my"
_QR_PIXELS = 580


class CouponTemplate(models.Model):
    _inherit = "coupon.template"

    cover = fields.Image(
        max_width=1600,
        max_height=1600,
        help="The picture on posters; the logo if there is none.",
    )
    receipt_print = fields.Boolean(
        string="Print on Receipts",
        help="Each paid order of at least the amount gets a new coupon of this kind, "
        "printed at the end of its receipt.",
    )
    receipt_fen = Fen(string="From an Order of (fen)")
    receipt_amount = fields.Monetary(
        string="From an Order of",
        compute="_compute_receipt_amount",
        inverse="_inverse_receipt_amount",
    )
    claim_url = fields.Char(string="Link for Customers", compute="_compute_claim_url")
    issue_count = fields.Integer(compute="_compute_issue_count")

    _receipt_positive = models.Constraint(
        "CHECK (receipt_fen >= 0)", "Amounts cannot be negative."
    )

    @api.depends("receipt_fen")
    def _compute_receipt_amount(self):
        for template in self:
            template.receipt_amount = money.from_fen(template.receipt_fen)

    def _inverse_receipt_amount(self):
        for template in self:
            template.receipt_fen = money.to_fen(template.receipt_amount)

    def _compute_claim_url(self):
        for template in self:
            live = template.id and template.state == "live"
            template.claim_url = template._claim_url() if live else False

    def _compute_issue_count(self):
        counts = dict(
            self.env["coupon.issue"]._read_group(
                [("template_id", "in", self.ids), ("coupon_id", "!=", False)],
                ["template_id"],
                ["__count"],
            )
        )
        for template in self:
            template.issue_count = counts.get(template, 0)

    # === ACTION METHODS === #

    def action_hand_out(self):
        """Open a new hand-out of the template."""
        self._check_manager()
        self.ensure_one()
        return self._open_form("coupon.handout", self.env._("Hand Out"))

    def action_codes(self):
        """Open a new order for codes of the template."""
        self._check_manager()
        self.ensure_one()
        return self._open_form("coupon.code.batch", self.env._("Codes"))

    def _open_form(self, model, name):
        return {
            "type": "ir.actions.act_window",
            "name": name,
            "res_model": model,
            "view_mode": "form",
            "context": {
                "default_template_id": self.id,
                "default_company_id": self.company_id.id,
            },
        }

    def action_view_issues(self):
        """Open what was handed out of the template, and why."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_coupon.coupon_issue_action"
        )
        return {**action, "domain": [("template_id", "in", self.ids)]}

    # === BUSINESS METHODS === #

    def _check_handout(self, source, partners):
        """Refuse a hand-out that the template's kind does not allow.

        :param str source: ``codes``, ``handout``, ``campaign``, ``care``, ``receipt``
            or ``claim``
        :param partners: ``res.partner`` records that would get one, maybe none
        :raises UserError: if it is not allowed
        """

    def _check_generate(self):
        """Refuse to make coupons of a template that we cannot make now.

        :raises UserError: with what to do
        """
        self.ensure_one()
        if not self._channel()._can_generate:
            raise UserError(
                self.env._(
                    "WeChat makes the codes of this coupon; customers get them "
                    "on their phones."
                )
            )
        if self.state != "live":
            raise UserError(self.env._("Publish the template before you hand it out."))

    def _claim_url(self, campaign=None):
        """Return what the QR code of the template's poster holds.

        :param campaign: ``coupon.campaign`` record of the poster
        :rtype: str
        """
        self.ensure_one()
        theirs = self._channel()._claim_url(self)
        if theirs:
            return theirs
        if not self._channel()._can_generate:
            return False
        # sudo: auditors see the poster, too.
        link_sudo = self.env["coupon.claim.link"].sudo()._get(self, campaign)
        return urljoin(self.get_base_url(), f"/coupon/claim/{link_sudo.token}")

    def _poster_url(self):
        """Return what the poster's QR code holds.

        :raises UserError: if customers cannot get the coupon now
        """
        self.ensure_one()
        url = self.state == "live" and self._claim_url()
        if not url:
            raise UserError(
                self.env._(
                    "“%(template)s” has no link for customers. Publish it first.",
                    template=self.name,
                )
            )
        return url

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

    # === WHAT IT SAYS IN WORDS === #

    def _benefit_text(self):
        """Say in words what the coupon gives.

        :rtype: str
        """
        self.ensure_one()
        if self.coupon_type == "gift":
            product = self.gift_product_id.display_name or self.name
            if self.gift_qty > 1:
                return self.env._(
                    "%(count)s × %(product)s for free",
                    count=self.gift_qty,
                    product=product,
                )
            return self.env._("%(product)s for free", product=product)
        if self.coupon_type == "percent":
            return self.env._("%(percent)s%% off", percent=self.percent_off)
        return self.env._("¥%(amount)s off", amount=_short(self.amount_fen))

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


class LoyaltyCard(models.Model):
    _inherit = "loyalty.card"

    def _wechat_my_path(self):
        """Return the address of the page on which the customer shows the coupon."""
        self.ensure_one()
        return f"/coupon/my/{self._wechat_my_token()}"

    def _wechat_my_url(self):
        return urljoin(self.get_base_url(), self._wechat_my_path())

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
        now = fields.Datetime.now()
        if self.wechat_valid_from and self.wechat_valid_from > now:
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
