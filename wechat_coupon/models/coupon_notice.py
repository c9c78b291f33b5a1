import logging
import re
from datetime import timedelta

from odoo import api, fields, models

from odoo.addons.wechat_base.tools import money

_logger = logging.getLogger(__name__)

# WeChat sends a message with a number of ours once, for ten minutes (contracts 9.1).
_SAME_MESSAGE = timedelta(minutes=9)
_KEY = re.compile(r"([a-z_]+?)\d*\Z")
# What WeChat takes for each kind of keyword (contracts 9.1); others: 20 characters.
_SIZES = {"thing": 20, "phrase": 5, "character_string": 32, "name": 10, "number": 32}
_SIZE = 20


class CouponNotice(models.Model):
    """Somebody is told that a coupon was used: one row per redemption and side.

    The customer is told by WeChat if the account has a template message for it and
    we know the customer there, otherwise by e-mail; managers find it in their inbox.
    """

    _name = "coupon.notice"
    _description = "Notification of a Redemption"
    _inherit = ["wechat.operation"]
    _order = "id desc"
    _rec_name = "kind"

    _operation_rate_family = "message"

    redemption_id = fields.Many2one(
        "coupon.redemption", required=True, readonly=True, index=True
    )
    company_id = fields.Many2one(
        related="redemption_id.company_id", store=True, index=True
    )
    kind = fields.Selection(
        [("customer", "Customer"), ("users", "Colleagues")],
        string="To",
        required=True,
        readonly=True,
    )
    way = fields.Selection(
        [
            ("wechat", "WeChat message"),
            ("unsure", "WeChat message, perhaps"),
            ("email", "E-mail"),
            ("inbox", "Inbox"),
            ("none", "No address"),
        ],
        readonly=True,
        help="WeChat cannot be asked whether it has sent a message. When the answer "
        "was lost for too long, it is not sent again.",
    )
    first_sent_at = fields.Datetime(readonly=True)

    _once = models.UniqueIndex(
        "(redemption_id, kind)", "Nobody is told twice of the same use."
    )

    @api.model
    def _make(self, redemptions):
        """Order what the templates of new redemptions ask for.

        :param redemptions: ``coupon.redemption`` records, redeemed
        :return: the notices; they are sent after the commit
        """
        vals = []
        for redemption in redemptions:
            template = redemption.template_id
            if template.notify_customer and redemption._customer():
                vals.append({"redemption_id": redemption.id, "kind": "customer"})
            if template.notify_user_ids:
                vals.append({"redemption_id": redemption.id, "kind": "users"})
        # sudo: only the ledger makes notices.
        notices = self.sudo().create(self._new(vals))
        notices._operation_prepare()
        notices._operation_enqueue(now=False)
        return notices

    def _new(self, vals):
        """Leave out what was ordered before."""
        ids = [row["redemption_id"] for row in vals]
        rows = ids and self.sudo().search([("redemption_id", "in", ids)])
        known = {(row.redemption_id.id, row.kind) for row in rows}
        return [row for row in vals if (row["redemption_id"], row["kind"]) not in known]

    # === SENDING === #

    def _operation_rate_key(self):
        """Override of ``wechat.operation``: WeChat's limits are per account."""
        return f"message:{self._account().id or 0}"

    def _operation_begin(self):
        """Override of ``wechat.operation``: from now on WeChat knows our number."""
        begun = super()._operation_begin()
        if begun and not self.first_sent_at:
            self.first_sent_at = fields.Datetime.now()
        return begun

    def _operation_call(self):
        """Override of ``wechat.operation``."""
        self.ensure_one()
        if self.kind == "users":
            return {"way": "inbox"}
        identity = self._identity()
        if identity:
            self._send_by_wechat(identity)
            return {"way": "wechat"}
        return {"way": "email" if self.redemption_id._customer().email else "none"}

    def _operation_query(self):
        """Override of ``wechat.operation``: WeChat cannot be asked.

        The same number is sent once for ten minutes; after that it stays as it is.
        """
        self.ensure_one()
        sent = self.first_sent_at
        if self.kind == "users" or not sent:
            return "not_done"
        if sent + _SAME_MESSAGE > fields.Datetime.now():
            return "not_done"
        return "done", {"way": "unsure"}

    def _operation_done(self, vals):
        """Override of ``wechat.operation``: what Odoo sends by itself."""
        res = super()._operation_done(vals)
        if self.way == "email":
            self._send_by_email()
        elif self.way == "inbox":
            self._tell_users()
        return res

    def _identity(self):
        """Return who the customer is at an account that has such a message."""
        redemption = self.redemption_id
        own = redemption.coupon_id.wechat_identity_id
        found = own | self.env["wechat.identity"].search(
            [
                ("partner_id", "=", redemption._customer().id),
                ("account_id.notice_template", "!=", False),
                ("company_id", "parent_of", redemption.company_id.id),
            ],
            order="last_seen desc",
        )
        return found.filtered(
            lambda identity: (
                identity.account_id.notice_template
                and identity.account_id.environment != "disabled"
            )
        )[:1]

    def _account(self):
        return self._identity().account_id if self.kind == "customer" else None

    def _send_by_wechat(self, identity):
        account = identity.account_id
        body = {
            "touser": identity.openid,
            "template_id": account.notice_template,
            "client_msg_id": self.request_no,
            "data": self._data(account),
        }
        if self.redemption_id.template_id.ask_feedback:
            body["url"] = self.redemption_id._feedback_url()
        account._get_client().post("message/template/send", data=body)

    def _data(self, account):
        values = self._values()
        return {
            key: {"value": _fitting(key, values[name])}
            for key, name in account._notice_keys()
        }

    @api.model
    def _value_names(self):
        """Return what an account's message can tell: the names of its values."""
        return ("coupon", "saved", "paid", "time", "shop", "order")

    def _values(self):
        redemption = self.redemption_id
        return {
            "coupon": redemption.template_id.name,
            "saved": f"{money.from_fen(redemption.discount_fen):.2f}元",
            "paid": f"{money.from_fen(redemption.order_total_fen):.2f}元",
            "time": redemption._local(redemption.redeemed_at, "%Y-%m-%d %H:%M"),
            # sudo: a job's user may not see the till.
            "shop": redemption.config_id.sudo().name or redemption.company_id.name,
            "order": redemption.order_name or redemption.order_uuid,
        }

    def _send_by_email(self):
        self.env.ref("wechat_coupon.mail_template_used").send_mail(
            self.redemption_id.id,
            email_values={"recipient_ids": [(4, self.redemption_id._customer().id)]},
        )

    def _tell_users(self):
        redemption = self.redemption_id
        for user in redemption.template_id.notify_user_ids:
            if redemption.company_id not in user.company_ids:
                continue
            told = redemption.with_context(lang=user.lang)
            told.message_notify(
                partner_ids=user.partner_id.ids,
                subject=told.env._(
                    "%(coupon)s was used", coupon=redemption.template_id.name
                ),
                body=told.env._(
                    "%(coupon)s was used on %(order)s: %(saved)s off.",
                    coupon=redemption.template_id.name,
                    order=redemption.order_name or redemption.order_uuid,
                    saved=money.format_fen(redemption.discount_fen),
                ),
            )

    def action_retry(self):
        """Send again what WeChat refused, after its cause is gone."""
        self.env["coupon.template"]._check_manager()
        self.check_access("read")
        # sudo: only the ledger writes notices.
        return self.sudo().action_operation_retry()


def _fitting(key, value):
    """Cut a value to what WeChat takes for the kind of a keyword."""
    kind = _KEY.match(key).group(1)
    if kind == "character_string":
        value = "".join(char for char in value if char.isascii())
    return (value or "-")[: _SIZES.get(kind, _SIZE)]
