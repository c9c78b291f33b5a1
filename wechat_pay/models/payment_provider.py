from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from .. import const


class PaymentProvider(models.Model):
    _inherit = "payment.provider"

    code = fields.Selection(
        selection_add=[("wechat_pay", "WeChat Pay")],
        ondelete={"wechat_pay": "set default"},
    )
    wechat_merchant_id = fields.Many2one(
        "wechat.merchant",
        string="WeChat merchant",
        domain=[("kind", "=", "merchant")],
        required_if_provider="wechat_pay",
        check_company=True,
        copy=False,
        ondelete="restrict",
        groups="base.group_system",
        help="Holds the keys. In test mode it is one that stands at the sandbox.",
    )
    wechat_mail_done = fields.Boolean(
        string="Receipt by e-mail",
        default=True,
        help="Sent once for each payment, unless Odoo confirms an order by e-mail "
        "anyway.",
    )
    wechat_mail_failed = fields.Boolean(
        string="E-mail when a payment was not made",
        default=True,
        help="Sent once for each payment that failed or was not made in time, with a "
        "link to try again; not when the customer has cancelled it.",
    )

    # === CONSTRAINTS === #

    @api.constrains("wechat_merchant_id")
    def _check_wechat_merchant_kind(self):
        # sudo: the merchant is for administrators.
        if "brand" in self.sudo().wechat_merchant_id.mapped("kind"):
            raise ValidationError(
                self.env._("A brand takes no money. Choose a merchant.")
            )

    # === COMPUTE METHODS === #

    def _compute_feature_support_fields(self):
        """Override of `payment`: any part of a payment can be refunded."""
        result = super()._compute_feature_support_fields()
        self.filtered(lambda p: p.code == "wechat_pay").support_refund = "partial"
        return result

    @api.depends("wechat_merchant_id")
    def _compute_journal_id(self):
        """Override of `account_payment`: by default the journal of the merchant."""
        lines = self.env["account.payment.method.line"]
        rest = self
        for provider in self.filtered(
            lambda p: p.code == "wechat_pay" and p.state != "disabled"
        ):
            # sudo: the merchant is for administrators, its journal is not secret.
            journal = provider.sudo().wechat_merchant_id.journal_id
            if journal.company_id != provider.company_id or lines.search(
                [
                    ("payment_provider_id", "=", provider._origin.id),
                    ("journal_id", "!=", False),
                ],
                limit=1,
            ):
                continue
            provider.journal_id = journal
            provider._ensure_payment_method_line()
            rest -= provider
        return super(PaymentProvider, rest)._compute_journal_id()

    def _get_supported_currencies(self):
        """Override of `payment`: WeChat Pay takes yuan."""
        currencies = super()._get_supported_currencies()
        if self.code == "wechat_pay":
            currencies = currencies.filtered(
                lambda c: c.name in const.SUPPORTED_CURRENCIES
            )
        return currencies

    # === CONSTRAINT METHODS === #

    @api.constrains("code", "state", "wechat_merchant_id")
    def _check_wechat_environment(self):
        for provider in self:
            if provider.code == "wechat_pay" and provider.wechat_merchant_id:
                provider._check_wechat_merchant()

    def _check_wechat_merchant(self):
        """Test mode never moves money, and goods are never given for play money.

        :raises ValidationError: if the merchant stands elsewhere than the state says
        """
        # sudo: the merchant is for administrators.
        merchant = self.sudo().wechat_merchant_id
        needed = const.PROVIDER_ENVIRONMENTS.get(self.state)
        if not needed or merchant.environment == needed:
            return
        if needed == "sandbox":
            raise ValidationError(
                self.env._(
                    "“%(merchant)s” would move real money. For the test mode choose a "
                    "merchant whose environment is “Sandbox”.",
                    merchant=merchant.name,
                )
            )
        raise ValidationError(
            self.env._(
                "“%(merchant)s” does not take real money. To enable the provider, "
                "choose a merchant whose environment is “WeChat”; for the sandbox "
                "there is the test mode.",
                merchant=merchant.name,
            )
        )

    # === CRUD METHODS === #

    def _get_default_payment_method_codes(self):
        """Override of `payment` to return the default payment method codes."""
        self.ensure_one()
        if self.code != "wechat_pay":
            return super()._get_default_payment_method_codes()
        return const.DEFAULT_PAYMENT_METHOD_CODES

    def _get_reset_values(self):
        """Override of `payment` to take the merchant off."""
        if self.code != "wechat_pay":
            return super()._get_reset_values()
        return {"wechat_merchant_id": None}

    # === BUSINESS METHODS === #

    def _wechat_ready_merchant(self):
        """Return the merchant that takes money now.

        :raises UserError: if the provider or its merchant is switched off, or they
            do not fit each other any more
        """
        self.ensure_one()
        if self.state == "disabled":
            raise UserError(self.env._("WeChat Pay is switched off."))
        self._check_wechat_merchant()
        # sudo: the merchant is for administrators.
        merchant_sudo = self.sudo().wechat_merchant_id
        merchant_sudo._check_enabled()
        return merchant_sudo

    def _wechat_service_account(self):
        """Return the account that knows visitors inside WeChat by their openid.

        :return: a ``wechat.account``; empty if the merchant has no service account
        """
        # sudo: see above.
        accounts_sudo = self.sudo().wechat_merchant_id.account_ids
        return accounts_sudo.filtered(lambda a: a.account_type == "service")[:1]
