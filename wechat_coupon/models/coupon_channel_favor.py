from datetime import timedelta
from urllib.parse import quote

from odoo import api, fields, models
from odoo.exceptions import UserError

from odoo.addons.wechat_base.tools.exceptions import WechatRefused

_DAYS = 90
# A stock that begins at once would be too late when it arrives.
_SOON = timedelta(minutes=5)
# Stock states are in small letters (contracts 7.3).
_STOCK_STATES = {
    "unactivated": "review",
    "audit": "review",
    "running": "live",
    "paused": "paused",
    "stoped": "ended",
}


class CouponTemplate(models.Model):
    _inherit = "coupon.template"

    no_cash = fields.Boolean(
        string="The Shop Bears It at Once",
        default=True,
        help="Off: the discounts are paid into WeChat beforehand, and the shop gets "
        "the whole price (预充值). On: the shop gets less (免充值).",
    )


class CouponChannelFavor(models.AbstractModel):
    """Cash coupons of WeChat Pay (代金券); contracts 7.

    WeChat takes them off inside the payment. No till scans them: they are written into
    the ledger from what the payment says.
    """

    _name = "coupon.channel.favor"
    _inherit = "coupon.channel.pay"
    _description = "Coupon Channel: WeChat Pay Cash Coupons"

    _in_payment = True
    _starts_apart = True
    _characters = {"description": 1000}
    _path = "/v3/marketing/favor"

    # === TEMPLATES === #

    def _check_publish(self, template):
        """Override of ``coupon.channel.pay``."""
        res = super()._check_publish(template)
        if template.coupon_type != "amount":
            raise UserError(
                self.env._("A cash coupon (代金券) takes an amount off; choose that.")
            )
        if not 2 <= template.amount_fen <= 100000:
            raise UserError(
                self.env._("WeChat wants “Amount Off” to be ¥0.02 to ¥1000.")
            )
        if template.threshold_fen <= template.amount_fen:
            raise UserError(
                self.env._(
                    "WeChat wants “From a Purchase of” to be more than “Amount Off”."
                )
            )
        self._check_stock(template)
        if not 1 <= template.get_limit <= 60:
            raise UserError(self.env._("“Per Customer” is a number from 1 to 60."))
        if template.date_type != "range":
            raise UserError(
                self.env._("A cash coupon (代金券) is valid between two dates.")
            )
        begin, end = self._span(template, _DAYS)
        if (end - begin).days >= _DAYS:
            raise UserError(
                self.env._("WeChat wants cash coupons to last 90 days at most.")
            )
        return res

    def _check_stock(self, template):
        """Override of ``coupon.channel``."""
        if not 5 <= template.stock <= 10**7:
            raise UserError(self.env._("“Pieces” is a number from 5 to 10 million."))
        if template.stock * template.amount_fen > 10**10:
            raise UserError(
                self.env._("WeChat wants all coupons of a stock to be ¥100 million.")
            )

    def _publish(self, template, number):
        """Override of ``coupon.channel``: make the stock; it is started after that.

        WeChat docs: POST /v3/marketing/favor/coupon-stocks
        """
        self._set_callback(template)
        body = self._stock_body(template, number)
        answer = self._call(template, "POST", "/coupon-stocks", body, number)
        return {
            "remote_id": str(answer["stock_id"]),
            "remote_type": "NORMAL",
            "remote_status": "unactivated",
            "remote_stock": template.stock,
            "remote_synced_at": fields.Datetime.now(),
            "state": "review",
            "state_reason": False,
        }

    def _stock_body(self, template, number):
        begin, end = self._span(template, _DAYS)
        # Not before now, says WeChat; and the same however often it is sent.
        begin = max(begin, self._ordered_at(template) + _SOON)
        mchid = template.merchant_id.mchid
        return {
            "stock_name": _name(template.title or template.name),
            "belong_merchant": mchid,
            "available_begin_time": self._time(begin),
            "available_end_time": self._time(end),
            "stock_use_rule": {
                "max_coupons": template.stock,
                "max_amount": template.stock * template.amount_fen,
                "max_coupons_per_user": template.get_limit,
                "natural_person_limit": False,
                "prevent_api_abuse": False,
            },
            "pattern_info": {"description": template.description or template.name},
            "coupon_use_rule": {
                "fixed_normal_coupon": {
                    "coupon_amount": template.amount_fen,
                    "transaction_minimum": template.threshold_fen,
                },
                "available_merchants": [mchid],
            },
            "no_cash": template.no_cash,
            "stock_type": "NORMAL",
            "out_request_no": number,
        }

    def _start(self, template, number):
        """Override of ``coupon.channel``: prepaid money is set aside now."""
        try:
            self._stock_verb(template, "start", number)
        except WechatRefused as error:
            if error.code != "NOT_ENOUGH":
                raise
            raise WechatRefused(
                self.env._(
                    "The merchant's balance at WeChat is too small for these coupons. "
                    "Top it up in the merchant platform, then try again."
                ),
                code=error.code,
                request_id=error.request_id,
            ) from error
        return {"state": "live", "remote_status": "running", "state_reason": False}

    def _is_started(self, template):
        """Override of ``coupon.channel``."""
        if self._stock(template).get("status") != "running":
            return False
        return "done", {"result": {"state": "live", "remote_status": "running"}}

    def _stock_verb(self, template, verb, number):
        body = {"stock_creator_mchid": template.merchant_id.mchid}
        path = f"/stocks/{quote(template.remote_id)}/{verb}"
        return self._call(template, "POST", path, body, number)

    def _stock(self, template):
        params = {"stock_creator_mchid": template.merchant_id.mchid}
        path = f"/stocks/{quote(template.remote_id)}"
        return self._call(template, "GET", path, params=params)

    def _end(self, template, number):
        """Override of ``coupon.channel``: stop the stock."""
        self._stock_verb(template, "stop", number)

    def _is_ended(self, template):
        """Override of ``coupon.channel``."""
        return self._stock(template).get("status") == "stoped"

    def _refresh(self, template):
        """Override of ``coupon.channel``: read the stock."""
        stock = self._stock(template)
        template._write_guarded(
            {
                "remote_status": stock.get("status"),
                "remote_synced_at": fields.Datetime.now(),
            }
        )
        state = _STOCK_STATES.get(stock.get("status"))
        if state:
            template._follow_remote(state)

    # === COUPONS === #

    def _send(self, template, openid, number):
        """Put a coupon into a person's wallet; the same number is the same coupon.

        :return: WeChat's number of the coupon
        """
        body = {
            "stock_id": template.remote_id,
            "out_request_no": number,
            "appid": self._appid(template),
            "stock_creator_mchid": template.merchant_id.mchid,
        }
        path = f"/users/{quote(openid, safe='')}/coupons"
        return str(self._call(template, "POST", path, body, number)["coupon_id"])

    def _query(self, coupon, timeout=None):
        """Override of ``coupon.channel``: no till takes it."""
        return "in_payment"

    def _check_void(self):
        """Override of ``coupon.channel``: WeChat goes on taking it off."""
        raise UserError(
            self.env._(
                "WeChat has no way to make a cash coupon (代金券) invalid. End the "
                "template, so that no more are handed out."
            )
        )

    # === THE PAYMENT === #

    @api.model
    def _record_payments(self, order):
        """Write the coupons that WeChat took off an order's payments into the ledger.

        :param order: ``pos.order`` record, paid
        :return: ``coupon.redemption`` records that are new
        """
        # sudo: users of the till read neither payments nor coupons.
        payments_sudo = order.sudo().payment_ids.wechat_transaction_ids
        found = self.env["coupon.redemption"]
        seen = set()
        for payment_sudo in payments_sudo.filtered(
            lambda row: row.kind == "payment" and row.state == "done"
        ):
            for promotion in payment_sudo.promotion_ids:
                template = self._templates(payment_sudo.merchant_id, promotion.stock_id)
                if template and promotion.coupon_id:
                    again = promotion.coupon_id in seen
                    found |= self._record(
                        order, payment_sudo, promotion, template, again
                    )
            seen.update(payment_sudo.promotion_ids.mapped("coupon_id"))
        return found

    def _record(self, order, payment, promotion, template, again):
        coupon = self._coupon(template, promotion.coupon_id, payment.payer_openid)
        redemptions = self.env["coupon.redemption"].sudo()
        return redemptions._record_paid(
            order._wechat_order_ref(),
            coupon,
            {
                "discount_fen": promotion.amount_fen,
                "order_total_fen": payment.amount_fen,
                "order_name": order.pos_reference or order.name,
                "pos_order_id": order.id,
                "funded_by": promotion._funded_by(),
            },
            again,
        )

    def _coupon(self, template, number, openid):
        """Return the coupon with WeChat's number, made if it is new to us."""
        cards = self.env["loyalty.card"]
        coupon = cards._wechat_find(number)
        if coupon:
            if coupon.coupon_template_id != template:
                raise UserError(
                    self.env._(
                        "Code %(code)s belongs to another coupon template.", code=number
                    )
                )
            return coupon
        identity = self.env["wechat.identity"]
        if openid:
            identity = identity.sudo()._find_or_create(template.account_id, openid)
        begin, end = template._validity()
        row = {
            "code": number,
            "partner_id": identity.partner_id.id,
            "wechat_identity_id": identity.id,
            "wechat_openid": openid,
            "wechat_valid_from": begin,
            "wechat_valid_to": end,
        }
        return cards.sudo()._wechat_insert(template, [row]) or cards._wechat_find(
            number
        )


def _name(text):
    """Return a name that WeChat takes: 9 characters, 20 if all are Latin."""
    clean = "".join(" " if char in "_,;|" else char for char in text).strip()
    return clean[: 20 if clean.isascii() else 9].strip() or "-"
