import hashlib
import hmac
from urllib.parse import quote, urlencode

from odoo import api, fields, models
from odoo.exceptions import UserError

from odoo.addons.wechat_base.tools.exceptions import WechatRefused

from .. import const

_YEAR = 365
_PATH = "/v3/marketing/busifavor"
_LINK = "https://action.weixin.qq.com/busifavor/getcouponinfo"
# `coupon_state` (contracts 6.3) -> state of the coupon.
_STATES = {
    "SENDED": "usable",
    "USED": "used",
    "EXPIRED": "expired",
    "DELETED": "deleted",
    "DEACTIVATED": "void",
}
# `stock_state` -> state of the template.
_STOCK_STATES = {
    "UNAUDIT": "review",
    "RUNNING": "live",
    "PAUSED": "paused",
    "STOPED": "ended",
}
_CODE_MODES = {
    "wechat": "WECHATPAY_MODE",
    "send": "MERCHANT_API",
    "upload": "MERCHANT_UPLOAD",
}
_DISPLAYS = {
    "CODE_TYPE_QRCODE": "QRCODE",
    "CODE_TYPE_BARCODE": "BARCODE",
    "CODE_TYPE_TEXT": "NOT_SHOW",
}
# Only ten of the cards' colours.
_COLORS = {name for name in const.CARD_COLORS if name[-1] == "0"}


class CouponTemplate(models.Model):
    _inherit = "coupon.template"

    code_mode = fields.Selection(
        [
            ("wechat", "WeChat makes them"),
            ("send", "We give one with each coupon"),
            ("upload", "We bring them beforehand"),
        ],
        string="Codes",
        default="wechat",
    )


class CouponChannelBusifavor(models.AbstractModel):
    """Merchant coupons of WeChat Pay (商家券); contracts 6.1 to 6.6.

    For merchants who were admitted before 2025-12-15. The codes are written off by us,
    with a number of our own, and can be given back.
    """

    _name = "coupon.channel.busifavor"
    _inherit = "coupon.channel.pay"
    _description = "Coupon Channel: WeChat Pay Merchant Coupons"

    _asks_before_reserve = True
    _needs_write_off = True
    _can_return = True
    _updatable = frozenset({"description", "color", "stock", "goods_text"})
    _characters = {"title": 21, "goods_text": 15, "description": 1000}
    _path = _PATH

    def _not_allowed(self):
        """Override of ``coupon.channel.pay``."""
        return self.env._(
            "WeChat Pay does not let this merchant use merchant coupons (商家券). New "
            "merchants have not been admitted since December 2025; choose product "
            "coupons (商品券) or another channel."
        )

    # === TEMPLATES === #

    def _check_publish(self, template):
        """Override of ``coupon.channel.pay``."""
        res = super()._check_publish(template)
        self._check_stock(template)
        if not 1 <= template.get_limit <= 100:
            raise UserError(self.env._("“Per Customer” is a number from 1 to 100."))
        begin, end = self._span(template, _YEAR)
        if (end - begin).days >= _YEAR:
            raise UserError(
                self.env._("WeChat wants merchant coupons to last a year at most.")
            )
        if template.date_type == "term" and template.term_begin_days > 30:
            raise UserError(
                self.env._("WeChat wants coupons to start within 30 days of receipt.")
            )
        return res

    def _check_stock(self, template):
        """Override of ``coupon.channel``."""
        if not 1 <= template.stock <= 10**9:
            raise UserError(self.env._("“Pieces” is a number from 1 to 1 billion."))

    def _publish(self, template, number):
        """Override of ``coupon.channel``: make the stock.

        WeChat docs: POST /v3/marketing/busifavor/stocks
        """
        self._set_callback(template)
        logo_url = self._upload_image(
            template, "/v3/marketing/favor/media/image-upload"
        )
        body = self._stock_body(template, number, logo_url)
        answer = self._call(template, "POST", "/stocks", body, number)
        return {
            "remote_id": str(answer["stock_id"]),
            "remote_type": body["stock_type"],
            "remote_status": "RUNNING",
            "remote_stock": template.stock,
            "remote_synced_at": fields.Datetime.now(),
            "state": "live",
            "state_reason": False,
        }

    def _stock_body(self, template, number, logo_url):
        """Return the body of a new stock (contracts 6.2)."""
        kind, rule = self._benefit(template)
        send = {"max_coupons_per_user": template.get_limit}
        if kind == "NORMAL":
            send["max_coupons"] = template.stock
        else:
            send["max_coupons_by_day"] = template.stock
        pattern = {"description": template.description or template.name}
        if template.color in _COLORS:
            pattern["background_color"] = template.color
        if logo_url:
            pattern["merchant_logo_url"] = logo_url
        appid = self._appid(template)
        return {
            "stock_name": (template.title or template.name)[:21],
            "belong_merchant": template.merchant_id.mchid,
            "goods_name": self._goods_name(template),
            "stock_type": kind,
            "coupon_use_rule": {
                "coupon_available_time": self._available_time(template),
                "use_method": "OFF_LINE",
                **rule,
            },
            "stock_send_rule": send,
            "out_request_no": number,
            "custom_entrance": {
                "code_display_mode": _DISPLAYS.get(template.code_type, "QRCODE")
            },
            "display_pattern_info": pattern,
            "coupon_code_mode": _CODE_MODES[template.code_mode or "wechat"],
            "notify_config": {"notify_appid": appid},
        }

    def _goods_name(self, template):
        return (template.goods_text or template.name)[:15]

    def _benefit(self, template):
        """Return WeChat's kind of coupon and the rule that says what it gives."""
        minimum = max(template.threshold_fen, 1)
        if template.coupon_type == "amount":
            cut = {
                "discount_amount": template.amount_fen,
                "transaction_minimum": max(minimum, template.amount_fen),
            }
            return "NORMAL", {"fixed_normal_coupon": cut}
        if template.coupon_type == "percent":
            # Percent PAID: 88 is 八八折. (A card counts the other way round.)
            cut = {
                "discount_percent": 100 - template.percent_off,
                "transaction_minimum": minimum,
            }
            return "DISCOUNT", {"discount_coupon": cut}
        # A gift is exchanged for nothing.
        cut = {
            "exchange_price": template.exchange_fen or 0,
            "transaction_minimum": minimum,
        }
        return "EXCHANGE", {"exchange_coupon": cut}

    def _available_time(self, template):
        begin, end = self._span(template, _YEAR)
        times = {
            "available_begin_time": self._time(begin),
            "available_end_time": self._time(end),
        }
        if template.date_type == "term":
            times["available_day_after_receive"] = template.term_days
            if template.term_begin_days:
                times["wait_days_after_receive"] = template.term_begin_days
        return times

    def _update(self, template, number):
        """Override of ``coupon.channel``: `PATCH` of the stock."""
        pattern = {"description": template.description or template.name}
        if template.color in _COLORS:
            pattern["background_color"] = template.color
        body = {
            "out_request_no": number,
            "goods_name": self._goods_name(template),
            "display_pattern_info": pattern,
        }
        path = f"/stocks/{quote(template.remote_id)}"
        self._call(template, "PATCH", path, body, number)
        return {}

    def _is_updated(self, template):
        """Override of ``coupon.channel``."""
        shown = self._stock(template)
        pattern = shown.get("display_pattern_info") or {}
        return shown.get("goods_name") == self._goods_name(template) and (
            pattern.get("description") == (template.description or template.name)
        )

    def _stock(self, template):
        return self._call(template, "GET", f"/stocks/{quote(template.remote_id)}")

    def _change_stock(self, template, number):
        """Override of ``coupon.channel``: `PATCH` of the budget.

        WeChat compares with what it was: a change that was made meanwhile by
        somebody else is not overwritten.
        """
        name = "max_coupons"
        if template.remote_type != "NORMAL":
            name = "max_coupons_by_day"
        now = self._stock(template)["stock_send_rule"][name]
        return self._set_budget(template, number, name, now, template.stock)

    def _set_budget(self, template, number, name, now, wanted):
        if now != wanted:
            body = {
                "modify_budget_request_no": number,
                f"current_{name}": now,
                f"target_{name}": wanted,
            }
            path = f"/stocks/{quote(template.remote_id)}/budget"
            self._call(template, "PATCH", path, body, number)
        return {"remote_stock": wanted}

    def _is_stock_changed(self, template):
        """Override of ``coupon.channel``."""
        rule = self._stock(template)["stock_send_rule"]
        return template.stock in (
            rule.get("max_coupons"),
            rule.get("max_coupons_by_day"),
        )

    def _end(self, template, number):
        """Override of ``coupon.channel``: no more than has been handed out.

        WeChat has no call that stops a stock.
        """
        stock = self._stock(template)
        name = "max_coupons" if template.remote_type == "NORMAL" else None
        if not name:
            # By day only: one more may be handed out each day.
            now = stock["stock_send_rule"]["max_coupons_by_day"]
            self._set_budget(template, number, "max_coupons_by_day", now, 1)
            return
        sent = (stock.get("send_count_information") or {}).get("total_send_num") or 0
        now = stock["stock_send_rule"][name]
        self._set_budget(template, number, name, now, max(sent, 1))

    def _is_ended(self, template):
        """Override of ``coupon.channel``."""
        stock = self._stock(template)
        rule = stock["stock_send_rule"]
        sent = (stock.get("send_count_information") or {}).get("total_send_num") or 0
        most = rule.get("max_coupons") or rule.get("max_coupons_by_day") or 0
        return most <= max(sent, 1)

    def _refresh(self, template):
        """Override of ``coupon.channel``: read the stock."""
        stock = self._stock(template)
        template._write_guarded(
            {
                "remote_status": stock.get("stock_state"),
                "remote_synced_at": fields.Datetime.now(),
            }
        )
        state = _STOCK_STATES.get(stock.get("stock_state"))
        if state:
            template._follow_remote(state)

    # === CODES === #

    def _deposit_codes(self, template, codes, number):
        """Override of ``coupon.channel``: bring codes; 200 at most."""
        body = {"coupon_code_list": codes, "upload_request_no": number}
        path = f"/stocks/{quote(template.remote_id)}/couponcodes"
        answer = self._call(template, "POST", path, body, number)
        failed = answer.get("fail_codes") or []
        if failed:
            raise WechatRefused(
                self.env._(
                    "WeChat does not take %(count)s of these codes: %(codes)s",
                    count=len(failed),
                    codes=", ".join(str(one.get("coupon_code")) for one in failed[:5]),
                )
            )

    def _are_deposited(self, template, codes):
        """Override of ``coupon.channel``: bringing them again tells.

        The number makes that harmless.
        """
        return False

    # === RECEIVING === #

    def _link_for(self, template, openid, number, code=None):
        """Return the address at which a person receives a coupon (H5 领券页).

        Signed with the APIv2 key, although the rest is APIv3 (contracts 6.1).

        :param str openid: of the person, for the template's account
        :param str number: of this coupon; the same number is the same coupon
        :param str code: ours, if the template's codes are given with each coupon
        :raises UserError: if the merchant has no APIv2 key
        """
        merchant_sudo = template.merchant_id.sudo()
        key = merchant_sudo._secret("apiv2_key")
        if not key:
            raise UserError(
                self.env._(
                    "Enter the APIv2 key of the merchant “%(merchant)s” first.",
                    merchant=merchant_sudo.name,
                )
            )
        values = {
            "stock_id": template.remote_id,
            "out_request_no": number,
            "send_coupon_merchant": merchant_sudo.mchid,
            "open_id": openid,
        }
        if code:
            values["coupon_code"] = code
        text = "&".join(f"{name}={values[name]}" for name in sorted(values))
        sign = hmac.new(
            key.encode(), f"{text}&key={key}".encode(), hashlib.sha256
        ).hexdigest()
        sandbox = merchant_sudo._sandbox_address()
        base = f"{sandbox}/busifavor/getcouponinfo" if sandbox else _LINK
        query = urlencode({**values, "sign": sign.upper()})
        return f"{base}?{query}#wechat_pay&wechat_redirect"

    def _send(self, template, openid, number, code=None):
        """Put a coupon into a person's wallet; needs WeChat's permission.

        :return: the code
        """
        body = {
            "openid": openid,
            "appid": self._appid(template),
            "stock_id": template.remote_id,
            "out_request_no": number,
        }
        if code:
            body["coupon_code"] = code
        answer = self._call(template, "POST", "/coupons/send", body, number)
        return answer["send_coupon_result"]["coupon_code"]

    # === COUPONS === #

    def _detail(self, coupon):
        """Return what WeChat knows of a coupon, ``None`` if it cannot be asked.

        Only with the customer's openid, which it reports when it is received.
        """
        template = coupon.coupon_template_id
        openid = coupon.sudo().wechat_openid
        if not openid:
            return None
        path = (
            f"/users/{quote(openid, safe='')}/coupons/{quote(coupon.code, safe='')}"
            f"/appids/{self._appid(template)}"
        )
        return self._call(template, "GET", path)

    def _query(self, coupon, timeout=None):
        """Override of ``coupon.channel``: the state at WeChat."""
        found = self._detail(coupon)
        if found is None:
            return None
        state = _STATES.get(found.get("coupon_state"))
        if state == coupon.wechat_state or state is None:
            return None if state else "void"
        if coupon.wechat_state != "used":
            outside = {"wechat_used_outside": True} if state == "used" else {}
            coupon._wechat_set_state(state, **outside)
        return None if state == "usable" else const.STATE_REASONS[state]

    def _void(self, coupon, reason, number):
        """Override of ``coupon.channel``: deactivate the coupon."""
        template = coupon.coupon_template_id
        body = {
            "coupon_code": coupon.code,
            "stock_id": template.remote_id,
            "deactivate_request_no": number,
            "deactivate_reason": (reason or "")[:64] or "-",
        }
        self._call(template, "POST", "/coupons/deactivate", body, number)

    def _is_void(self, coupon):
        """Override of ``coupon.channel``."""
        found = self._detail(coupon)
        return bool(found) and found.get("coupon_state") == "DEACTIVATED"

    # === REDEMPTIONS === #

    def _write_off(self, redemption):
        """Override of ``coupon.channel``: use the coupon, with our number."""
        coupon = redemption.coupon_id
        template = coupon.coupon_template_id
        body = {
            "coupon_code": coupon.code,
            "stock_id": template.remote_id,
            "appid": self._appid(template),
            "use_time": self._time(redemption.redeemed_at),
            "use_request_no": redemption.request_no,
        }
        if coupon.sudo().wechat_openid:
            body["openid"] = coupon.sudo().wechat_openid
        self._call(template, "POST", "/coupons/use", body, redemption.request_no)
        return {}

    def _query_write_off(self, redemption):
        """Override of ``coupon.channel``: used, and with our number?"""
        found = self._detail(redemption.coupon_id)
        if (
            found
            and found.get("coupon_state") == "USED"
            and found.get("use_request_no") == redemption.request_no
        ):
            return "done"
        # The same number again is harmless, and says what is wrong.
        return "not_done"

    @api.model
    def _return_at_channel(self, redemption, number):
        """Give a used coupon back to its holder.

        WeChat docs: POST /v3/marketing/busifavor/coupons/return

        :param str number: stored before; the same for every attempt
        """
        coupon = redemption.coupon_id
        body = {
            "coupon_code": coupon.code,
            "stock_id": coupon.coupon_template_id.remote_id,
            "return_request_no": number,
        }
        template = coupon.coupon_template_id
        self._call(template, "POST", "/coupons/return", body, number)

    @api.model
    def _is_returned(self, redemption, number):
        """Override of ``coupon.channel``: is our return the last one WeChat knows?"""
        found = self._detail(redemption.coupon_id)
        if not found or found.get("return_request_no") != number:
            # The same number again is harmless, and says what is wrong.
            return False
        return (
            found.get("coupon_state") != "USED"
            or found.get("use_request_no") != redemption.request_no
        )

    def _associate(self, coupon, out_trade_no, number):
        """Tell WeChat Pay which of its orders a coupon was used on."""
        template = coupon.coupon_template_id
        body = {
            "stock_id": template.remote_id,
            "coupon_code": coupon.code,
            "out_trade_no": out_trade_no,
            "out_request_no": number,
        }
        self._call(template, "POST", "/coupons/associate", body, number)
