from urllib.parse import quote

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from odoo.addons.wechat_base.tools.exceptions import WechatRefused, WechatUnavailable

from .. import const

_YEAR = 365
_BRAND_DOOR = "/brand/marketing/product-coupon"
_PROVIDER_DOOR = "/v3/marketing/partner/product-coupon"
# WeChat tells nobody how its review has ended: it is asked.
_REVIEW_SECONDS = 600.0
# `state` of a stock (contracts 6.7) -> state of the template.
_STOCK_STATES = {
    "AUDITING": "review",
    "SENDING": "live",
    "PAUSED": "paused",
    "STOPPED": "ended",
    "DEACTIVATED": "ended",
}
_KINDS = {
    "amount": "NORMAL",
    "percent": "DISCOUNT",
    "gift": "EXCHANGE",
    "exchange": "EXCHANGE",
}
_CODE_MODES = {"wechat": "WECHATPAY", "send": "API_ASSIGN", "upload": "UPLOAD"}
_DISPLAYS = {
    "CODE_TYPE_QRCODE": "QRCODE",
    "CODE_TYPE_BARCODE": "BARCODE",
    "CODE_TYPE_TEXT": "INVISIBLE",
}
# Only ten of the cards' colours.
_COLORS = {name for name in const.CARD_COLORS if name[-1] == "0"}


class CouponTemplate(models.Model):
    _inherit = "coupon.template"

    brand_no = fields.Char(
        string="Brand ID",
        copy=True,
        help="The number of your brand (品牌) at WeChat Pay, which has authorised the "
        "merchant to act for it.",
    )
    merchant_kind = fields.Selection(related="merchant_id.kind")
    bundle_count = fields.Integer(
        string="Coupons in One Claim",
        help="0: one. From 3 to 15: who claims gets so many coupons, to be used one "
        "after the other.",
    )
    bundle_interval = fields.Integer(
        string="Days Between Two Uses",
        help="How many days a customer waits before the next coupon can be used.",
    )
    own_codes = fields.Boolean(
        compute="_compute_own_codes", store=True, readonly=False, precompute=True
    )
    product_coupon_no = fields.Char(
        string="Product Coupon ID", readonly=True, copy=False
    )
    product_pictures = fields.Json(readonly=True, copy=False)

    @api.constrains("channel", "bundle_count", "bundle_interval", "code_mode")
    def _check_bundle(self):
        for template in self.filtered(lambda one: one.channel == "product_coupon"):
            count = template.bundle_count
            if count and not 3 <= count <= 15:
                raise ValidationError(
                    self.env._("“Coupons in One Claim” is 0, or a number from 3 to 15.")
                )
            if not 0 <= template.bundle_interval <= 7:
                raise ValidationError(
                    self.env._("“Days Between Two Uses” is a number from 0 to 7.")
                )
            if count and (template.code_mode or "wechat") != "wechat":
                raise ValidationError(
                    self.env._("WeChat makes the codes where one claim brings several.")
                )

    @api.constrains("channel", "merchant_id")
    def _check_merchant_kind(self):
        for template in self:
            if (
                template.merchant_kind == "brand"
                and template.channel != "product_coupon"
            ):
                raise ValidationError(
                    self.env._("A brand hands out product coupons (商品券) only.")
                )

    @api.onchange("channel", "merchant_id")
    def _onchange_brand_no(self):
        if self.channel == "product_coupon" and not self.brand_no and self.merchant_id:
            last = self.search(
                [("merchant_id", "=", self.merchant_id.id), ("brand_no", "!=", False)],
                limit=1,
            )
            self.brand_no = last.brand_no

    @api.depends("channel", "code_mode")
    def _compute_own_codes(self):
        for template in self:
            if template.channel in ("busifavor", "product_coupon"):
                template.own_codes = template.code_mode == "upload"


class CouponChannelProduct(models.AbstractModel):
    """Product coupons of WeChat Pay (商品券); contracts 6.7.

    There are two doors to them: a brand comes with keys of its own, or a merchant
    comes as the brand's service provider. Every coupon has to be confirmed after it
    was received, and is used together with the WeChat payment of an order.

    This file is about templates; ``coupon_channel_product_coupon.py`` is about coupons.
    """

    _name = "coupon.channel.product_coupon"
    _inherit = "coupon.channel.pay"
    _description = "Coupon Channel: WeChat Pay Product Coupons"

    _asks_before_reserve = True
    _needs_write_off = True
    _needs_wechat_payment = True
    _can_return = True
    # Pictures come before the coupon, the review after it.
    _first_step = "picture"
    _starts_apart = True
    _updatable = frozenset({"description", "color", "code_type", "stock"})
    _characters = {"title": 15, "description": 1000}

    # === CALLS === #

    def _call(self, template, method, path, body=None, number=None, params=None):
        """Override of ``coupon.channel.pay``: by the door of whoever calls.

        A refusal has WeChat's number of the error for its code, if there is one:
        the word is the same for most of them.
        """
        is_brand = template.merchant_id.sudo().kind == "brand"
        if not is_brand:
            # It says for which brand the provider acts.
            brand = {"brand_id": template.brand_no}
            if body is None:
                params = {**(params or {}), **brand}
            else:
                body = {**brand, **body}
        door = _BRAND_DOOR if is_brand else _PROVIDER_DOOR
        try:
            return super()._call(
                template, method, f"{door}{path}", body, number, params
            )
        except WechatRefused as error:
            code = _error_number(error)
            if not code:
                raise
            raise WechatRefused(
                str(error), code=code, request_id=error.request_id
            ) from error

    def _not_allowed(self):
        """Override of ``coupon.channel.pay``."""
        return self.env._(
            "WeChat Pay does not let this merchant use the brand's product coupons "
            "(商品券). Check the brand ID, and that the brand has authorised the "
            "merchant in the brand platform."
        )

    # === CHECKS === #

    def _check_publish(self, template):
        """Override of ``coupon.channel.pay``."""
        result = super()._check_publish(template)
        is_brand = template.merchant_id.sudo().kind == "brand"
        if not is_brand and not (template.brand_no or "").isalnum():
            raise UserError(self.env._("Enter the brand ID of the coupon."))
        if not template.logo:
            raise UserError(
                self.env._("WeChat wants a picture: add the logo, see “On the Phone”.")
            )
        if len(self._title(template)) < 3:
            raise UserError(
                self.env._("WeChat wants “Title” to have 3 to 15 characters.")
            )
        self._check_stock(template)
        if not 1 <= template.get_limit <= 100:
            raise UserError(self.env._("“Per Customer” is a number from 1 to 100."))
        self._check_times(template)
        return result

    def _check_stock(self, template):
        """Override of ``coupon.channel``."""
        if not 1 <= template.stock <= 10**8:
            raise UserError(self.env._("“Pieces” is a number from 1 to 100 million."))

    def _check_times(self, template):
        begin, end = self._span(template, _YEAR)
        if (end - begin).days >= _YEAR:
            raise UserError(
                self.env._("WeChat wants product coupons to last a year at most.")
            )
        if template.date_type == "term" and not (
            template.term_begin_days <= 30 and template.term_days <= _YEAR
        ):
            raise UserError(
                self.env._(
                    "WeChat wants coupons to start within 30 days of receipt, and to "
                    "last 365 days at most."
                )
            )

    # === PUBLISHING === #

    def _bring_pictures(self, template):
        """Upload the template's pictures, once: what is sent again has to be the same.

        WeChat docs: POST media/upload-image

        :return: values to write on the template
        :rtype: dict
        """
        is_brand = template.merchant_id.sudo().kind == "brand"
        path = f"{_BRAND_DOOR if is_brand else _PROVIDER_DOOR}/media/upload-image"
        pictures = {"image_url": self._upload_image(template, path)}
        pictures["background_url"] = (
            self._upload_image(template, path, "cover") or pictures["image_url"]
        )
        return {"product_pictures": pictures}

    def _publish(self, template, number):
        """Override of ``coupon.channel``: make the coupon with its stock.

        WeChat docs: POST product-coupons
        """
        # sudo: see `_call` of ``coupon.channel.pay``.
        address = template.merchant_id.sudo().notify_url
        body = {"notify_url": address}
        self._call(template, "POST", "/notify-configs", body, "notify-configs")
        body = self._coupon_body(template, number)
        answer = self._call(template, "POST", "/product-coupons", body, number)
        if template.bundle_count:
            remote_id = answer["stock_bundle"]["stock_bundle_id"]
        else:
            remote_id = answer["stock"]["stock_id"]
        return {
            "remote_id": str(remote_id),
            "product_coupon_no": str(answer["product_coupon_id"]),
            "remote_type": body["type"],
            "remote_status": "AUDITING",
            "remote_stock": template.stock,
            "remote_synced_at": fields.Datetime.now(),
            "state": "review",
            "state_reason": False,
        }

    def _coupon_body(self, template, number):
        """Return the body of a new coupon (contracts 6.7)."""
        kind = _KINDS[template.coupon_type]
        body = {
            "out_request_no": number,
            "scope": self._scope(template),
            "type": kind,
            "usage_mode": "SINGLE",
            "display_info": {
                "name": self._title(template),
                **template.product_pictures,
            },
        }
        stock = self._stock_body(template)
        period = {"coupon_available_period": self._period(template)}
        offer = {f"{kind.lower()}_coupon": self._offer(template)}
        if template.bundle_count:
            offers = [self._offer(template)] * template.bundle_count
            stock["progressive_bundle_usage_rule"] = {
                **period,
                f"{kind.lower()}_coupon_list": offers,
            }
            return {
                **body,
                "usage_mode": "PROGRESSIVE_BUNDLE",
                "progressive_bundle_usage_info": {
                    "count": template.bundle_count,
                    "interval_days": template.bundle_interval,
                },
                "stock_bundle": stock,
            }
        if body["scope"] == "ALL":
            body["single_usage_info"] = offer
            stock["single_usage_rule"] = period
        else:
            stock["single_usage_rule"] = {**period, **offer}
        return {**body, "stock": stock}

    def _title(self, template):
        return (template.title or template.name)[:15]

    def _scope(self, template):
        """Return for what the coupon is good, in WeChat's words."""
        if template.coupon_type in const.PRODUCT_TYPES:
            return "SINGLE"
        scoped = (
            template.product_ids
            or template.product_category_id
            or template.product_tag_id
        )
        return "CATEGORY" if scoped else "ALL"

    def _offer(self, template):
        threshold = template.threshold_fen
        if template.coupon_type == "amount":
            if threshold:
                threshold = max(threshold, template.amount_fen)
            return {"threshold": threshold, "discount_amount": template.amount_fen}
        if template.coupon_type == "percent":
            # Percent OFF: 30 is 七折. (A merchant coupon counts the other way round.)
            return {"threshold": threshold, "percent_off": template.percent_off}
        # A gift is exchanged for nothing.
        return {"threshold": threshold, "exchange_price": template.exchange_fen or 0}

    def _period(self, template):
        begin, end = self._span(template, _YEAR)
        period = {
            "available_begin_time": self._time(begin),
            "available_end_time": self._time(end),
        }
        if template.date_type == "term":
            period["available_days"] = template.term_days
            if template.term_begin_days:
                period["wait_days_after_receive"] = template.term_begin_days
        return period

    def _stock_body(self, template):
        return {
            "remark": template.name[:20],
            "coupon_code_mode": _CODE_MODES[template.code_mode or "wechat"],
            "stock_send_rule": {
                "max_count": template.stock,
                "max_count_per_user": template.get_limit,
            },
            **self._face(template),
            "notify_config": {"notify_appid": self._appid(template)},
            "store_scope": "NONE",
        }

    def _face(self, template):
        """Return what may still change after the coupon is published."""
        shown = {"code_display_mode": _DISPLAYS.get(template.code_type, "QRCODE")}
        if template.color in _COLORS:
            shown["background_color"] = template.color
        return {
            "usage_rule_display_info": {
                "coupon_usage_method_list": ["OFFLINE"],
                "usage_description": template.description or template.name,
            },
            "coupon_display_info": shown,
        }

    # === REVIEW === #

    def _start(self, template, number):
        """Override of ``coupon.channel``: wait until WeChat's review has ended.

        :raises WechatUnavailable: while it has not
        :raises WechatRefused: if the coupon was rejected
        """
        if template.state != "review":
            return {}
        coupon, stock = self._remote(template)
        states = {coupon.get("state"), stock.get("state")}
        if "DEACTIVATED" in states:
            reason = coupon.get("deactivate_reason") or stock.get("deactivate_reason")
            raise WechatRefused(
                self.env._(
                    "WeChat's review has rejected the coupon: %(reason)s", reason=reason
                ),
                code="REJECTED",
            )
        if "AUDITING" in states:
            raise WechatUnavailable(
                self.env._("WeChat is reviewing the coupon. Its answer is waited for."),
                code="AUDITING",
                retry_after=_REVIEW_SECONDS,
            )
        return self._reviewed(stock)

    def _reviewed(self, stock):
        is_over = _STOCK_STATES.get(stock.get("state")) == "ended"
        return {
            # Paused at WeChat is live first: comparing pauses it here, too.
            "state": "ended" if is_over else "live",
            "remote_status": stock.get("state"),
            "state_reason": False,
        }

    def _is_started(self, template):
        """Override of ``coupon.channel``: asking again does no harm."""
        return template.state != "review"

    def _rejected(self, template, reason):
        """Let a coupon that the review has rejected be changed and published anew."""
        template._set_state(
            "draft",
            {
                "state_reason": reason,
                "remote_id": False,
                "product_coupon_no": False,
                "remote_status": "DEACTIVATED",
            },
        )

    def _coupon_path(self, template):
        return f"/product-coupons/{quote(template.product_coupon_no)}"

    def _stock_path(self, template):
        kind = "stock-bundles" if template.bundle_count else "stocks"
        return f"{self._coupon_path(template)}/{kind}/{quote(template.remote_id)}"

    def _remote(self, template):
        """Return the coupon and its stock (of a bundle the first one) at WeChat."""
        coupon = self._call(template, "GET", self._coupon_path(template))
        return coupon, self._stock(template)

    def _stock(self, template):
        if not template.bundle_count:
            return self._call(template, "GET", self._stock_path(template))
        path = f"{self._coupon_path(template)}/stocks"
        params = {"stock_bundle_id": template.remote_id}
        return self._call(template, "GET", path, params=params)["stock_list"][0]

    def _refresh(self, template):
        """Override of ``coupon.channel``: read coupon and stock."""
        coupon, stock = self._remote(template)
        if template.state == "review" and "DEACTIVATED" in (
            coupon.get("state"),
            stock.get("state"),
        ):
            reason = coupon.get("deactivate_reason") or stock.get("deactivate_reason")
            self._rejected(template, reason)
            return
        sent = (stock.get("sent_count_info") or {}).get("total_count") or 0
        most = stock["stock_send_rule"]["max_count"]
        template._write_guarded(
            {
                "remote_status": stock.get("state"),
                "remote_stock": most - sent,
                "remote_synced_at": fields.Datetime.now(),
            }
        )
        if coupon.get("state") != "AUDITING":
            state = _STOCK_STATES.get(stock.get("state"))
            template._follow_remote(state or template.state)
        self._fetch_lost(template, sent)

    # === CHANGING AND ENDING === #

    def _update(self, template, number):
        """Override of ``coupon.channel``: `PATCH` of the stock."""
        body = {"out_request_no": number, **self._face(template)}
        self._call(template, "PATCH", self._stock_path(template), body, number)
        return {}

    def _is_updated(self, template):
        """Override of ``coupon.channel``."""
        stock = self._stock(template)
        return all(
            stock.get(name) == value for name, value in self._face(template).items()
        )

    def _change_stock(self, template, number):
        """Override of ``coupon.channel``: WeChat compares with what it was."""
        now = self._stock(template)["stock_send_rule"]["max_count"]
        if now != template.stock:
            body = {
                "out_request_no": number,
                "update_mode": "MAX_COUNT",
                "current_max_count": now,
                "target_max_count": template.stock,
            }
            path = f"{self._stock_path(template)}/update-budget"
            self._call(template, "POST", path, body, number)
        return {"remote_stock": template.stock}

    def _is_stock_changed(self, template):
        """Override of ``coupon.channel``."""
        rule = self._stock(template)["stock_send_rule"]
        return rule["max_count"] == template.stock

    def _end(self, template, number):
        """Override of ``coupon.channel``: end the coupon and all its stocks."""
        body = {
            "out_request_no": number,
            "deactivate_reason": self.env._("Ended by the shop"),
        }
        path = f"{self._coupon_path(template)}/deactivate"
        self._call(template, "POST", path, body, number)

    def _is_ended(self, template):
        """Override of ``coupon.channel``."""
        coupon = self._call(template, "GET", self._coupon_path(template))
        return coupon.get("state") == "DEACTIVATED"

    # === CODES === #

    def _deposit_codes(self, template, codes, number):
        """Override of ``coupon.channel``: bring codes; 200 at most."""
        body = {"code_list": codes, "out_request_no": number}
        path = f"{self._stock_path(template)}/upload-coupon-codes"
        failed = self._call(template, "POST", path, body, number).get(
            "failed_code_list"
        )
        if failed:
            raise WechatRefused(
                self.env._(
                    "WeChat does not take %(count)s of these codes: %(codes)s",
                    count=len(failed),
                    codes=", ".join(map(str, failed[:5])),
                )
            )

    def _are_deposited(self, template, codes):
        """Override of ``coupon.channel``: bringing them again tells.

        The number makes that harmless.
        """
        return False


def _error_number(error):
    """Return WeChat's number of an error: what its request id ends with."""
    number = str(error.request_id or "").rpartition("-")[2]
    return int(number) if number.isascii() and number.isdigit() and int(number) else 0
