import functools
import hashlib
import logging
import re
import secrets
import time
import unicodedata

from werkzeug.exceptions import NotFound

from odoo import http
from odoo.exceptions import UserError
from odoo.http import STORED_SESSION_BYTES, request
from odoo.tools import consteq
from odoo.tools.misc import hmac
from odoo.tools.urls import urljoin

from odoo.addons.wechat_base.tools.exceptions import WechatError

from ..models.coupon_claim_link import PHONE, AlreadyClaimed

_logger = logging.getLogger(__name__)

# Many customers of a shop share its address; one of them does not come that often.
_PER_IP = {"limit": 120, "per_seconds": 600, "burst": 40}
_PER_PHONE = {"limit": 5, "per_seconds": 3600, "burst": 3}
_PHONE = re.compile(r"\d{8,15}", re.ASCII)
_CHINESE_MOBILE = re.compile(r"1[3-9]\d{9}", re.ASCII)
_OPENIDS = "wechat_coupon_openids"
_OAUTH = "wechat_coupon_oauth"
# Seconds after which a visitor whom WeChat did not tell is sent there again.
_AGAIN = 600
_CLAIMS = "wechat_coupon_claims"
_MAX_CLAIMS = 50
_CLAIM = "/coupon/claim/<string:token>"
_HTTP = {
    "type": "http",
    "auth": "public",
    "website": True,
    "multilang": False,
    "sitemap": False,
}


def _readable(method):
    """Answer addresses that lead nowhere, also those that no database can hold.

    Odoo's own page for what is not found would look for them there, and fail; and it
    tells a customer with an old poster nothing.
    """

    @functools.wraps(method)
    def wrapper(self, token, **params):
        if "\0" in token:
            return request.make_response("", status=404)
        try:
            return method(self, token, **params)
        except NotFound:
            return request.render("wechat_coupon.no_link_page", status=404)

    return wrapper


class CouponClaim(http.Controller):
    """The pages on which a customer gets a coupon, and shows it.

    Nothing here searches by a code or lists coupons: each page has an address that
    nobody can guess, and what is behind it is read with sudo for that reason only.
    """

    @http.route(_CLAIM, methods=["GET"], **_HTTP)
    @_readable
    def wechat_coupon_claim(self, token, **_query):
        """Show the offer, and how to get it."""
        link_sudo = _link(token)
        account_sudo = _account(link_sudo)
        openid = None
        if account_sudo:
            openid = self._openid(account_sudo)
            failed_at = request.session.get(_OAUTH, {}).get("failed_at", 0)
            if not openid and failed_at < time.time() - _AGAIN:
                return self._to_oauth(link_sudo, account_sudo)
        return self._render(link_sudo, openid)

    @http.route(f"{_CLAIM}/get", methods=["POST"], **_HTTP)
    @_readable
    def wechat_coupon_claim_get(self, token, phone="", **_params):
        """Give the customer a coupon."""
        link_sudo = _link(token)
        account_sudo = _account(link_sudo)
        # A form can send a file instead.
        phone = phone[:40] if isinstance(phone, str) else ""
        openid = account_sudo and request.session.get(_OPENIDS, {}).get(
            str(account_sudo.id)
        )
        try:
            if openid:
                coupon_id = self._claim_by_openid(link_sudo, account_sudo, openid)
            else:
                coupon_id = self._claim_by_phone(link_sudo, phone)
        except UserError as error:
            return self._render(link_sudo, openid, str(error), phone[:20])
        path = request.env["loyalty.card"].browse(coupon_id)._wechat_my_path()
        _remember(link_sudo, path)
        return request.redirect(path, local=False)

    @http.route("/coupon/my/<string:token>", methods=["GET"], **_HTTP)
    @_readable
    def wechat_coupon_my(self, token, **_query):
        """Show a coupon to its customer, for the till to scan."""
        coupon_sudo = request.env["loyalty.card"]._wechat_by_token(token)
        if not coupon_sudo:
            raise NotFound()
        template_sudo = coupon_sudo.coupon_template_id
        usable = coupon_sudo.wechat_status in ("usable", "reserved")
        return _private(
            request.render(
                "wechat_coupon.my_page",
                {
                    "coupon": coupon_sudo,
                    "offer": template_sudo,
                    "usable": usable,
                    "qr_code": template_sudo._qr_data_uri(coupon_sudo.code)
                    if usable
                    else None,
                },
            )
        )

    def _render(self, link_sudo, openid=None, problem="", phone=""):
        over = ""
        try:
            link_sudo._check_open()
        except UserError as error:
            over = str(error)
        return _private(
            request.render(
                "wechat_coupon.claim_page",
                {
                    "link": link_sudo,
                    "offer": link_sudo.template_id,
                    "known": bool(openid),
                    "over": over,
                    "problem": problem if not over else "",
                    "phone": phone,
                    "mine": _mine(link_sudo),
                },
            )
        )

    # === WHO ASKS === #

    def _claim_by_phone(self, link_sudo, phone):
        partners_sudo = request.env["res.partner"].sudo()
        digits = partners_sudo._wechat_digits(phone)
        typed = unicodedata.normalize("NFKC", phone)
        foreign = typed.strip().startswith(("+", "00")) and _PHONE.fullmatch(digits)
        if not (_CHINESE_MOBILE.fullmatch(digits) or foreign):
            raise UserError(
                request.env._("This is no mobile number. Enter all 11 digits, please.")
            )
        _guard("ip", request.httprequest.remote_addr, _PER_IP)
        _guard("phone", digits, _PER_PHONE)
        found = partners_sudo._wechat_by_contact([digits], link_sudo.company_id)
        partner_ids = found.get(digits, [])
        partner_id = partner_ids[0] if len(partner_ids) == 1 else False
        return self._claim(link_sudo, f"{PHONE}{digits}", partner_id)

    def _claim_by_openid(self, link_sudo, account_sudo, openid):
        _guard("ip", request.httprequest.remote_addr, _PER_IP)
        identity_sudo = (
            request.env["wechat.identity"]
            .sudo()
            .search(
                [("account_id", "=", account_sudo.id), ("openid", "=", openid)], limit=1
            )
        )
        return self._claim(
            link_sudo,
            f"openid:{account_sudo.id}:{openid}",
            identity_sudo.partner_id.id,
            wechat_identity_id=identity_sudo.id,
            wechat_openid=openid,
        )

    def _claim(self, link_sudo, claimer, partner_id, **coupon_vals):
        """Give a coupon; who taps twice comes to the one that the first tap got."""
        browser = _browser()
        try:
            return link_sudo._claim(claimer, partner_id, browser, **coupon_vals)
        except AlreadyClaimed:
            coupon_id = link_sudo._claimed(claimer, browser)
            if not coupon_id:
                raise
            return coupon_id

    def _openid(self, account_sudo):
        """Return what WeChat calls this visitor, if it has said so in this session."""
        return request.session.get(_OPENIDS, {}).get(str(account_sudo.id))

    # The same steps as for a payment (contracts 1.5).

    def _to_oauth(self, link_sudo, account_sudo):
        nonce = secrets.token_urlsafe(16)
        request.session[_OAUTH] = {"link": link_sudo.id, "nonce": nonce}
        path = f"/coupon/claim/{link_sudo.token}/oauth"
        back = urljoin(request.httprequest.url_root, path)
        try:
            url = account_sudo._get_client().oauth_url(back, _state(link_sudo, nonce))
        except WechatError as error:
            _logger.warning("WeChat account %s: %s", account_sudo.id, error)
            return self._render(link_sudo)
        return _private(request.redirect(url, local=False))

    @http.route(f"{_CLAIM}/oauth", methods=["GET"], **_HTTP)
    @_readable
    def wechat_coupon_claim_oauth(self, token, code="", state="", **_query):
        """A visitor comes back from WeChat, which tells us the openid."""
        link_sudo = _link(token)
        # Once only: whoever comes with it again has not been sent by us.
        kept = request.session.pop(_OAUTH, None) or {}
        nonce = kept.get("nonce")
        if not nonce:
            # WeChat has loaded this address twice, or the browser keeps no cookies.
            return self._render(link_sudo, self._openid(_account(link_sudo)))
        if kept.get("link") != link_sudo.id or not state.isascii():
            raise NotFound()
        if not consteq(state, _state(link_sudo, nonce)):
            raise NotFound()
        account_sudo = _account(link_sudo)
        try:
            _guard("ip", request.httprequest.remote_addr, _PER_IP)
        except UserError as error:
            return self._render(link_sudo, problem=str(error))
        try:
            openid = account_sudo and account_sudo._get_client().oauth_openid(code)
        except WechatError as error:
            _logger.warning("Coupon link %s, openid: %s", link_sudo.id, error)
            openid = None
        if openid:
            known = request.session.get(_OPENIDS, {})
            request.session[_OPENIDS] = {**known, str(account_sudo.id): openid}
        else:
            # The phone number is still a way.
            request.session[_OAUTH] = {"failed_at": time.time()}
        return request.redirect(f"/coupon/claim/{link_sudo.token}", local=False)


def _link(token):
    """Return the link, with sudo, or answer as if there were nothing."""
    link_sudo = request.env["coupon.claim.link"]._by_token(token)
    if not link_sudo:
        raise NotFound()
    return link_sudo


def _account(link_sudo):
    """Return the account that knows this visitor, who is inside WeChat, or nothing."""
    agent = request.httprequest.user_agent.string.lower()
    accounts_sudo = request.env["wechat.account"].sudo()
    # WeCom calls itself both, and knows no openid of an Official Account.
    if "micromessenger" not in agent or "wxwork" in agent:
        return accounts_sudo.browse()
    return accounts_sudo.search(
        [
            ("account_type", "=", "service"),
            ("environment", "!=", "disabled"),
            ("company_id", "parent_of", link_sudo.company_id.id),
        ],
        limit=1,
    )


def _guard(kind, value, limits):
    """Refuse whoever comes too often; nobody's number is kept.

    :raises UserError: with what to do
    """
    digest = hashlib.sha256(str(value).encode()).hexdigest()[:32]
    guard = request.env["wechat.rate.guard"].sudo()
    if guard._acquire(f"coupon_claim_{kind}:{digest}", **limits):
        raise UserError(request.env._("Too many tries. Please wait some minutes."))


def _remember(link_sudo, path):
    """Let this browser find its coupon again."""
    mine = [link_sudo.template_id.id, path]
    kept = [one for one in request.session.get(_CLAIMS, []) if one != mine]
    request.session[_CLAIMS] = [*kept, mine][-_MAX_CLAIMS:]


def _mine(link_sudo):
    """Return the pages of coupons of this offer that this browser has got."""
    kept = request.session.get(_CLAIMS, [])
    return [
        path for template_id, path in kept if template_id == link_sudo.template_id.id
    ]


def _browser():
    """Return what this browser is known by, from the page until after the claim.

    Of the part of the session's name that stays: what the session itself keeps is
    not written yet when somebody taps twice.
    """
    name = request.session.sid[:STORED_SESSION_BYTES]
    return hmac(request.env(su=True), "wechat_coupon-browser", name)


def _state(link_sudo, nonce):
    return hmac(link_sudo.env, "wechat_coupon-oauth", (link_sudo.id, nonce))


def _private(response):
    """Keep a page out of caches, search engines and other sites' logs."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
