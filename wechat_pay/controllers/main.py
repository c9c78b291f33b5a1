import base64
import json
import logging
import secrets
from urllib.parse import urlencode

from werkzeug.exceptions import NotFound

from odoo import http
from odoo.exceptions import UserError
from odoo.http import request
from odoo.tools import consteq
from odoo.tools.urls import urljoin

from odoo.addons.payment import utils as payment_utils
from odoo.addons.payment.controllers.post_processing import PaymentPostProcessing
from odoo.addons.wechat_base.tools.exceptions import WechatError

from .. import const

_logger = logging.getLogger(__name__)

_OPENIDS = "wechat_pay_openids"
_OAUTH = "wechat_pay_oauth"
# WeChat's links fill a code of 29 or 33 modules: whole pixels for each, no seams.
_QR_PIXELS = 29 * 33
_PHONES = ("iphone", "ipod", "android", "harmony", "mobile")
_PAGE = "/payment/wechat_pay/<int:tx_id>"
# WeChat's console lists the folder of the page (支付授权目录): no language before it.
_HTTP = {"type": "http", "auth": "public", "website": True, "multilang": False}
_RPC = {"type": "jsonrpc", "auth": "public", "website": True}


class WechatPayController(http.Controller):
    """The page on which a customer pays with WeChat.

    Each step of an order is a transaction of its own in the model, so a request that
    Odoo runs again finds what the first run has stored.
    """

    @http.route(_PAGE, methods=["GET"], sitemap=False, **_HTTP)
    def wechat_pay_page(self, tx_id, access_token=None, **_query):
        """Show what there is to pay, and how, on this device."""
        tx_sudo = _transaction(tx_id, access_token)
        if tx_sudo.state in ("authorized", "done", "cancel"):
            return self._over(tx_sudo)
        device, openid = _device(), None
        account_sudo = tx_sudo.provider_id._wechat_service_account()
        if device == "wechat" and account_sudo:
            openid = request.session.get(_OPENIDS, {}).get(str(account_sudo.id))
            if not openid:
                return self._to_oauth(tx_sudo, account_sudo)
        return self._render(tx_sudo, device, openid)

    def _render(self, tx_sudo, device, openid):
        """Open or show the order, and return the page."""
        rows_sudo = request.env["wechat.pay.transaction"].sudo()
        way = "jsapi" if openid else "native"
        problem = ""
        try:
            if tx_sudo._wechat_is_wanted():
                rows_sudo._web_show(tx_sudo.id, way, openid)
            else:
                problem = request.env._("This has been paid already.")
            status = rows_sudo._web_status(tx_sudo.id)
            params = _jsapi_params(status) if openid else None
        except UserError as error:
            _logger.warning("Payment %s with WeChat: %s", tx_sudo.reference, error)
            status, params = rows_sudo._web_status(tx_sudo.id), None
            problem = request.env._(
                "WeChat Pay is not available at the moment. Nothing was paid. Please "
                "choose another way to pay."
            )
        if status["state"] in ("paid", "over"):
            return self._over(tx_sudo)
        return self._show(
            tx_sudo,
            {
                "device": device,
                "way": way,
                "state": "problem" if problem else status["state"],
                "status": status,
                "problem": problem or status["message"],
                "qr_code": _qr_code(status),
                "jsapi_params": json.dumps(params) if params else "",
                "sandbox_url": _sandbox(tx_sudo),
                "page_url": urljoin(request.httprequest.url_root, _page_path(tx_sudo)),
            },
        )

    def _over(self, tx_sudo):
        """Lead on to Odoo's page, or say to others than the customer how it ended.

        Whoever has the link may pay. Odoo's page leads on to the document, which is
        the customer's business.
        """
        if _is_own(tx_sudo):
            return _go("/payment/status")
        paid = tx_sudo.state != "cancel"
        problem = "" if paid else request.env._("This payment was cancelled.")
        status = {"number": "", "seconds": 0, "message": problem}
        return self._show(
            tx_sudo,
            {
                "device": _device(),
                "way": "native",
                "state": "paid" if paid else "problem",
                "status": status,
                "problem": problem,
                "qr_code": None,
                "jsapi_params": "",
                "sandbox_url": None,
                "page_url": "",
            },
        )

    def _show(self, tx_sudo, values):
        response = request.render(
            "wechat_pay.payment_page",
            {"tx": tx_sudo, "own": _is_own(tx_sudo), **values},
        )
        # An old page would show an order that is over.
        response.headers["Cache-Control"] = "no-store"
        return response

    # === WHO IS THERE (contracts 1.5) === #

    def _to_oauth(self, tx_sudo, account_sudo):
        nonce = secrets.token_urlsafe(16)
        request.session[_OAUTH] = {"tx": tx_sudo.id, "nonce": nonce}
        back = urljoin(
            request.httprequest.url_root,
            f"{tx_sudo._wechat_path()}/oauth?"
            + urlencode({"access_token": tx_sudo._wechat_token()}),
        )
        try:
            url = account_sudo._get_client().oauth_url(back, _state(tx_sudo, nonce))
        except WechatError as error:
            _logger.warning("WeChat account %s: %s", account_sudo.id, error)
            return self._render(tx_sudo, "phone", None)
        return request.redirect(url, local=False)

    @http.route(f"{_PAGE}/oauth", methods=["GET"], sitemap=False, **_HTTP)
    def wechat_pay_oauth(self, tx_id, access_token=None, code="", state="", **_query):
        """A visitor comes back from WeChat, which tells us the openid."""
        tx_sudo = _transaction(tx_id, access_token)
        # Once only: whoever comes with it again has not been sent by us.
        kept = request.session.pop(_OAUTH, None) or {}
        if kept.get("tx") != tx_id or not state.isascii():
            raise NotFound()
        if not consteq(state, _state(tx_sudo, kept.get("nonce"))):
            raise NotFound()
        account_sudo = tx_sudo.provider_id._wechat_service_account()
        try:
            openid = account_sudo._get_client().oauth_openid(code)
        except WechatError as error:
            _logger.warning("Payment %s, openid: %s", tx_sudo.reference, error)
            openid = None
        if not openid:
            # The QR code and the link are still a way.
            return self._render(tx_sudo, "phone", None)
        known = request.session.get(_OPENIDS, {})
        request.session[_OPENIDS] = {**known, str(account_sudo.id): openid}
        return _go(_page_path(tx_sudo))

    # === THE PAGE'S QUESTIONS === #

    @http.route(f"{_PAGE}/status", **_RPC)
    def wechat_pay_status(self, tx_id, access_token=None, now=False, **_params):
        """Return how the payment stands; WeChat is asked from time to time.

        :param bool now: whether the customer says that it is paid
        :return: see ``wechat.pay.transaction._web_status``
        """
        tx_sudo = _transaction(tx_id, access_token)
        rows_sudo = request.env["wechat.pay.transaction"].sudo()
        rows_sudo._web_ask(tx_sudo.id, 1 if now else const.QUERY_SECONDS - 1)
        return _told(rows_sudo._web_status(tx_sudo.id))

    @http.route(f"{_PAGE}/retry", **_RPC)
    def wechat_pay_retry(self, tx_id, access_token=None, way="native", **_params):
        """Open a new order after the last one has ended."""
        tx_sudo = _transaction(tx_id, access_token)
        rows_sudo = request.env["wechat.pay.transaction"].sudo()
        account_sudo = tx_sudo.provider_id._wechat_service_account()
        openid = request.session.get(_OPENIDS, {}).get(str(account_sudo.id))
        if way != "jsapi" or not openid:
            way, openid = "native", None
        if tx_sudo._wechat_is_wanted():
            try:
                rows_sudo._web_show(tx_sudo.id, way, openid, again=True)
            except UserError as error:
                # The page loads itself again, and says so.
                _logger.warning("Payment %s with WeChat: %s", tx_sudo.reference, error)
        return _told(rows_sudo._web_status(tx_sudo.id))

    @http.route(f"{_PAGE}/cancel", **_RPC)
    def wechat_pay_cancel(self, tx_id, access_token=None, **_params):
        """Close the order: the customer wants to pay another way, or not at all."""
        tx_sudo = _transaction(tx_id, access_token)
        rows_sudo = request.env["wechat.pay.transaction"].sudo()
        rows_sudo._web_cancel(tx_sudo.id)
        return _told(rows_sudo._web_status(tx_sudo.id))


def _transaction(tx_id, access_token):
    """Return the payment, if the token is that of this payment.

    :raises NotFound: for a wrong token as for a payment that does not exist
    """
    # sudo: a customer is no user; the token says whose payment it is.
    tx_sudo = request.env["payment.transaction"].sudo().browse(tx_id).exists()
    if (
        not (isinstance(access_token, str) and access_token.isascii())
        or not tx_sudo
        or tx_sudo.provider_code != "wechat_pay"
        or tx_sudo.operation != "online_redirect"
        or not payment_utils.check_access_token(
            access_token, "wechat_pay", tx_sudo.id, tx_sudo.reference
        )
    ):
        raise NotFound()
    provider_sudo = tx_sudo.provider_id
    if (
        provider_sudo.state == "test"
        and not provider_sudo.is_published
        and not request.env.user._is_internal()
    ):
        # Play money is for those who try the shop out.
        raise NotFound()
    return tx_sudo


def _is_own(tx_sudo):
    """Whether this visitor has begun the payment, and not only got its link."""
    key = PaymentPostProcessing.MONITORED_TX_ID_KEY
    return request.session.get(key) == tx_sudo.id


def _go(path):
    """Lead on to one of our own paths.

    Odoo's check that it is one, which strangers' addresses need, uses a function that
    its library is about to drop.
    """
    return request.redirect(path, local=False)


def _page_path(tx_sudo):
    query = urlencode({"access_token": tx_sudo._wechat_token()})
    return f"{tx_sudo._wechat_path()}?{query}"


def _state(tx_sudo, nonce):
    return payment_utils.generate_access_token("wechat_oauth", tx_sudo.id, nonce)


def _device():
    """Return ``wechat``, ``phone`` or ``desktop``."""
    agent = request.httprequest.user_agent.string.lower()
    # WeCom calls itself both, and knows no openid of an Official Account.
    if "micromessenger" in agent and "wxwork" not in agent:
        return "wechat"
    return "phone" if any(word in agent for word in _PHONES) else "desktop"


def _jsapi_params(status):
    if status["state"] != "payable" or status["way"] != "jsapi":
        return None
    # Read anew: the order was placed after this request's look at the database.
    rows_sudo = request.env["wechat.pay.transaction"].sudo()
    return rows_sudo._drain_in_own_transaction(
        lambda model: model.browse(status["id"])._web_jsapi_params()
    )


def _qr_code(status):
    """Return the QR code as the address of a picture, or ``None``."""
    if status["state"] != "payable" or status["way"] != "native":
        return None
    picture = (
        request.env["ir.actions.report"]
        .sudo()
        .barcode(
            "QR",
            status["code_url"],
            width=_QR_PIXELS,
            height=_QR_PIXELS,
            barLevel="M",
            quiet=0,
        )
    )
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def _sandbox(tx_sudo):
    """Return the sandbox's address for testers, if this is no real payment."""
    if tx_sudo.provider_id.state != "test":
        return None
    return tx_sudo.provider_id.sudo().wechat_merchant_id._sandbox_address()


def _told(status):
    """Return what the page may know."""
    hidden = ("id", "code_url")
    return {name: value for name, value in status.items() if name not in hidden}
