import time
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL

from odoo.addons.wechat_base.tools.exceptions import WechatConfigError, make_error

from ..tools.codepay_v2 import CodepayV2
from ..tools.pay_api import CodepayV3
from .wechat_pay_bill import CHUNK, SECONDS

#: days that a payment may wait for its session to be closed
OPEN_DAYS = 60


class WechatMerchant(models.Model):
    _inherit = "wechat.merchant"

    codepay_driver = fields.Selection(
        [("v3", "APIv3"), ("v2", "APIv2")],
        string="Payment codes by",
        required=True,
        default="v3",
        help="APIv2 for merchants to whom WeChat has not opened payment by code in "
        "APIv3.",
    )
    apiv2_key = fields.Char(
        string="APIv2 key",
        compute="_compute_secrets",
        inverse="_inverse_apiv2_key",
        groups="base.group_system",
        copy=False,
    )
    apiv2_key_cipher = fields.Text(groups=fields.NO_ACCESS, copy=False)
    journal_id = fields.Many2one(
        "account.journal",
        domain=[("type", "=", "bank")],
        check_company=True,
        help="The bank journal that stands for the merchant's account at WeChat Pay. "
        "Its statement is made from the fund-flow bill.",
    )
    fee_account_id = fields.Many2one(
        "account.account",
        string="Fee account",
        check_company=True,
        help="Where WeChat's fees go.",
    )
    discount_account_id = fields.Many2one(
        "account.account",
        string="Account of coupons without funding",
        check_company=True,
        help="What WeChat coupons of the kind 免充值 (NOCASH) take off what the "
        "merchant receives.",
    )

    @api.constrains("environment")
    def _check_environment_of_providers(self):
        """What is in use does not change between play money and real money."""
        # sudo: providers are for administrators, and for all companies.
        providers_sudo = self.env["payment.provider"].sudo()
        for merchant in self.filtered(lambda m: m.environment != "disabled"):
            for provider_sudo in providers_sudo.search(
                [("wechat_merchant_id", "=", merchant.id)]
            ):
                provider_sudo._check_wechat_merchant()

    def _inverse_apiv2_key(self):
        self._keep_secret("apiv2_key")

    def _clean_secret(self, name, value):
        """Override of `wechat.secret.mixin` to check the APIv2 key."""
        value = super()._clean_secret(name, value)
        if value and name == "apiv2_key" and len(value.encode()) != 32:
            raise ValidationError(self.env._("The APIv2 key is 32 characters long."))
        return value

    def _codepay_driver(self, appid, driver):
        """Return what charges payment codes for this merchant.

        :param str appid: AppID bound to the merchant
        :param str driver: ``v3`` or ``v2``; an order stays with the one that made it
        :raises WechatConfigError: if the merchant is disabled or not filled in
        """
        self.ensure_one()
        if driver == "v2":
            return self._codepay_v2(appid)
        return CodepayV3(self._get_pay_client(), appid)

    def _codepay_v2(self, appid):
        self._check_enabled()
        return CodepayV2(
            self.mchid,
            appid,
            self._secret("apiv2_key"),
            certificate=self.certificate,
            private_key=self._secret("private_key"),
            sandbox_url=self._sandbox_address(),
            translate=self.env._,
        )

    def _pay_appid(self):
        """Return the AppID that orders are placed with.

        :raises WechatConfigError: if no account is bound to the merchant
        """
        # sudo: a cashier's payment needs the AppID, the cashier not the account.
        appid = self.sudo().account_ids[:1].appid
        if not appid:
            raise make_error(
                self.env._,
                WechatConfigError,
                "incomplete",
                detail=f"{self.display_name}: {self.env._('Accounts')}",
                code="incomplete",
            )
        return appid

    def _has_data(self):
        """Override of `wechat.connection.mixin`: payments and bills keep theirs."""
        # sudo: whoever may see them.
        return super()._has_data() or any(
            self.env[name].sudo().search_count([("merchant_id", "=", self.id)], limit=1)
            for name in ("wechat.pay.transaction", "wechat.pay.bill")
        )

    @api.constrains("kind")
    def _check_kind_in_use(self):
        for merchant in self.filtered(lambda one: one.kind == "brand"):
            used = [("wechat_merchant_id", "=", merchant.id)]
            # sudo: whoever enters keys need not read tills and payments.
            if any(
                self.env[model].sudo().search_count(used, limit=1)
                for model in ("pos.payment.method", "payment.provider")
            ):
                raise ValidationError(
                    self.env._(
                        "%(merchant)s takes payments, so it cannot become a brand. "
                        "Make a merchant of its own for the brand.",
                        merchant=merchant.name,
                    )
                )

    # === BANK STATEMENT === #

    def _enqueue_reconcile(self, after=0):
        self.ensure_one()
        if not self.journal_id:
            return
        self.with_delay(
            identity_key=f"wechat.merchant:reconcile:{self.id}:{after}",
            description=self.env._("Reconcile payments of %s", self.name),
        )._reconcile_open(after)

    def _reconcile_open(self, after=0):
        """Job: reconcile what had to wait, e.g. for a session that was open.

        What one job does not manage is left to the next.

        :param int after: id of the fund line that the job before has come to
        :return: the number of lines that were looked at
        """
        self.ensure_one()
        deadline = time.monotonic() + SECONDS
        lines, done = self._open_fund_lines(after), 0
        while done < len(lines):
            if done and time.monotonic() > deadline:
                self._enqueue_reconcile(lines[done - 1].id)
                break
            chunk = lines[done : done + CHUNK]
            chunk._rebook()
            chunk._reconcile()
            done += len(chunk)
        return done

    def _open_fund_lines(self, after):
        """Return the movements that are in the books but not reconciled."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                SELECT f.id
                  FROM wechat_pay_fund_line AS f
                  JOIN account_bank_statement_line AS s ON s.id = f.statement_line_id
                 WHERE f.merchant_id = %(merchant)s
                   AND f.id > %(after)s
                   AND f.booked_at > %(since)s
                   AND f.transaction_id IS NOT NULL
                   AND f.business_type NOT LIKE %(fee)s
                   AND EXISTS (
                       SELECT 1
                         FROM account_move_line AS m
                         JOIN account_move AS move ON move.id = m.move_id
                         JOIN account_journal AS j ON j.id = move.journal_id
                         JOIN account_account AS a ON a.id = m.account_id
                        WHERE m.move_id = s.move_id
                          AND m.account_id != j.default_account_id
                          AND ((a.reconcile AND NOT m.reconciled)
                               OR m.account_id = j.suspense_account_id))
                 ORDER BY f.id
                """,
                merchant=self.id,
                after=after,
                since=fields.Datetime.now() - timedelta(days=OPEN_DAYS),
                fee="%手续费%",
            )
        )
        ids = [row[0] for row in self.env.cr.fetchall()]
        return self.env["wechat.pay.fund.line"].browse(ids)
