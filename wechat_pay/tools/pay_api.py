"""What our payments ask of WeChat Pay, as plain calls.

One object for one merchant and AppID. It knows paths and fields (contracts 5.5, 5.6
and 5.8), no records and no states. Amounts are integer fen, times RFC 3339.

Payment by code has two drivers with the same three methods, :class:`CodepayV3` here
and ``CodepayV2`` in :mod:`.codepay_v2`:

- ``pay(out_trade_no, auth_code, amount, description, **more)`` returns an order
- ``query(out_trade_no)`` returns an order
- ``reverse(out_trade_no)`` closes an unpaid order, gives back a paid one, and returns
  nothing

An order is the dictionary of WeChat's query (contracts 5.5), whichever driver got it:
``trade_state`` is always in it, and ``amount.total`` when it is SUCCESS. Errors are
those of ``wechat_base.tools.exceptions``; an order that WeChat does not know is a
:class:`WechatRefused` with a code of :data:`NOT_FOUND`.
"""

from contextlib import contextmanager
from urllib.parse import quote

from odoo.addons.wechat_base.tools.exceptions import WechatError

#: codes of the answer to a question about a number that WeChat does not know
NOT_FOUND: tuple[str, ...] = (
    "ORDER_NOT_EXIST",
    "ORDER_NO_TEXIST",
    "ORDERNOTEXIST",
    "RESOURCE_NOT_EXISTS",
)


class PayApi:
    """Orders and refunds of APIv3.

    :param client: a ``WechatPayClient``
    :param str appid: AppID bound to the merchant
    """

    def __init__(self, client, appid):
        self.client = client
        self.appid = appid

    # === ORDERS === #

    def place(self, api, out_trade_no, amount, description, notify_url, **more):
        """Place an order that the customer pays on the phone.

        :param str api: ``native`` or ``jsapi``
        :param int amount: fen
        :param more: further fields, e.g. ``time_expire``, ``payer``
        :return: ``{"code_url": …}`` or ``{"prepay_id": …}``
        """
        body = {
            **self._order_body(out_trade_no, amount, description, more),
            "notify_url": notify_url,
        }
        return self._post(f"/v3/pay/transactions/{api}", body, out_trade_no)

    def query(self, out_trade_no):
        """Return an order as WeChat knows it."""
        return self.client.request(
            "GET", self._order_path(out_trade_no), {"mchid": self.client.mchid}
        ).data

    def close(self, out_trade_no):
        """Close an order that is not paid; may be repeated."""
        path = self._order_path(out_trade_no) + "/close"
        self._post(path, {"mchid": self.client.mchid}, out_trade_no)

    def _order_path(self, out_trade_no):
        return f"/v3/pay/transactions/out-trade-no/{quote(out_trade_no, safe='')}"

    def _order_body(self, out_trade_no, amount, description, more):
        return {
            "appid": self.appid,
            "mchid": self.client.mchid,
            "description": cut(description, 127),
            "out_trade_no": out_trade_no,
            "amount": {"total": amount, "currency": "CNY"},
            **more,
        }

    # === REFUNDS === #

    def refund(self, out_refund_no, out_trade_no, amount, total, notify_url, **more):
        """Ask for a refund; the same number is the same refund, however often sent.

        :param int amount: fen to give back
        :param int total: fen of the whole order
        :return: the refund of contracts 5.8, usually ``status`` PROCESSING
        """
        body = {
            "out_trade_no": out_trade_no,
            "out_refund_no": out_refund_no,
            "amount": {"refund": amount, "total": total, "currency": "CNY"},
            "notify_url": notify_url,
            **more,
        }
        return self._post("/v3/refund/domestic/refunds", body, out_refund_no)

    def query_refund(self, out_refund_no):
        """Return a refund as WeChat knows it."""
        path = f"/v3/refund/domestic/refunds/{quote(out_refund_no, safe='')}"
        return self.client.request("GET", path).data

    def _post(self, path, body, request_no):
        return self.client.request("POST", path, body=body, request_no=request_no).data


class CodepayV3(PayApi):
    """Payment by code in APIv3 (contracts 5.6)."""

    def pay(self, out_trade_no, auth_code, amount, description, **more):
        """Charge a payment code.

        Never sent twice by itself: after a lost answer only a question helps.

        :param str auth_code: bearer token of the customer; neither kept nor logged
        :param more: ``scene_info`` is required
        :return: an order; its ``trade_state`` is USERPAYING while the customer has to
            enter the password
        """
        body = {
            **self._order_body(out_trade_no, amount, description, more),
            "payer": {"auth_code": auth_code},
        }
        path = "/v3/pay/transactions/codepay"
        with hiding(auth_code):
            answer = self.client.request("POST", path, body=body)
        if not answer.done:
            return {**answer.data, "trade_state": "USERPAYING"}
        return answer.data

    def reverse(self, out_trade_no):
        """Close an unpaid order, give back a paid one; may be repeated."""
        path = self._order_path(out_trade_no) + "/reverse"
        body = {"appid": self.appid, "mchid": self.client.mchid}
        self._post(path, body, out_trade_no)


@contextmanager
def hiding(auth_code):
    """Take a payment code out of what WeChat says of it in an error."""
    try:
        yield
    except WechatError as error:
        if auth_code:
            error.args = tuple(str(arg).replace(auth_code, "***") for arg in error.args)
        raise


def cut(text, length):
    """Return ``text`` without control characters, at most ``length`` characters."""
    clean = "".join(char if char.isprintable() else " " for char in str(text or ""))
    return " ".join(clean.split())[:length] or "-"
