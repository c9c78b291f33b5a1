"""代金券: what was used and what was refunded, as files.

WeChat docs: GET /v3/marketing/favor/stocks/{stock_id}/use-flow, refund-flow,
use-flow-by-day, refund-flow-by-day.

The files are downloaded as bills are: GET /v3/billdownload/file, signed, answered
unsigned.  The columns of the uses are those of a file seen; those of the refunds are
unconfirmed.
"""

import hashlib
import re
from datetime import datetime
from typing import Any

from . import pay_favor as stocks
from . import pay_marketing as common
from . import pay_refund
from .clock import beijing, midnight
from .pay_bill import yuan
from .pay_core import PayCall, Reply, route
from .pay_favor import PATH, Stock

#: Seconds for which the address is good (contract 7.1).
URL_LIFE = 30
READY_HOUR = 10
USED, REFUNDED = "支付", "退款"
_HEAD = (
    "批次id,优惠id,优惠类型,优惠金额（元）,订单总金额（元）,交易类型,支付单号,"
    "消耗时间,消耗商户号,设备号,银行流水号,单品信息"
)
_KINDS = {"GLOBAL": "全场代金券", "SINGLE": "单品代金券"}


def _line(stock: Stock, entry: dict[str, Any], kind: str) -> str:
    cells = [
        stock["stock_id"],
        entry["coupon_id"],
        _KINDS[entry["scope"]],
        yuan(entry["amount"]),
        yuan(entry["total"]),
        kind,
        entry["transaction_id"],
        beijing(entry["time"]).strftime("%Y-%m-%d %H:%M:%S"),
        entry["mchid"],
        entry["device_id"],
        "",
        ";".join(entry["goods"]),
    ]
    return ",".join("`" + cell for cell in cells)


def _file(stock: Stock, rows: list[dict[str, Any]], kind: str) -> bytes:
    lines = [_HEAD, *(_line(stock, entry, kind) for entry in rows)]
    return ("\r\n".join([*lines, "总条数", f"`{len(rows)}"]) + "\r\n").encode()


def _rows(call: PayCall, stock: Stock, kind: str) -> list[dict[str, Any]]:
    """Return the uses, or each voucher's part in the refunds that succeeded."""
    if kind == USED:
        return stock["uses"]
    uses = {(e["transaction_id"], e["coupon_id"]): e for e in stock["uses"]}
    rows = []
    for refund in call.box.state.refunds.values():
        if refund["status"] != "SUCCESS":
            continue
        number = pay_refund.order_of(call.box, refund)["transaction_id"]
        for item in refund["promotion_detail"]:
            use = uses.get((number, item["promotion_id"]))
            if use:
                amount, when = item["refund_amount"], refund["success_at"]
                rows.append({**use, "amount": amount, "time": when})
    return rows


def _own_stock(call: PayCall) -> Stock:
    return stocks.find_stock(call, call.merchant.mchid)


def _offer(call: PayCall, content: bytes) -> tuple[str, str]:
    """Keep a file for one download; return its address and digest."""
    state = call.box.state
    token = state.random_text(43)
    state.bills[token] = {
        "mchid": call.merchant.mchid,
        "text": content.decode(),
        "gzip": False,
        "expires": call.box.clock.now() + URL_LIFE,
    }
    state.touch()
    url = f"{call.base_url}/v3/billdownload/file?token={token}"
    return url, hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _whole(call: PayCall, kind: str) -> Reply:
    """The file of a stock that has ended, from ten the next morning."""
    stock, now = _own_stock(call), call.box.clock.now()
    end = min(stock.get("stop_time", stock["ends"]), stock["ends"])
    if now < midnight(end) + common.DAY + READY_HOUR * 3600:
        raise common.invalid("批次未结束或明细未生成")
    url, digest = _offer(call, _file(stock, _rows(call, stock, kind), kind))
    return 200, {"url": url, "hash_value": digest, "hash_type": "sha1"}


@route("GET", f"{PATH}/stocks/{{stock_id}}/use-flow")
def use_flow(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/marketing/favor/stocks/{stock_id}/use-flow"""
    return _whole(call, USED)


@route("GET", f"{PATH}/stocks/{{stock_id}}/refund-flow")
def refund_flow(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/marketing/favor/stocks/{stock_id}/refund-flow"""
    return _whole(call, REFUNDED)


def _day(call: PayCall) -> float:
    """Return the start of ``bill_date``, whose file must be there already."""
    value = call.need_query("bill_date")
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
            raise ValueError
        start = datetime.fromisoformat(f"{value}T00:00:00+08:00").timestamp()
    except ValueError:
        raise common.bad_query("bill_date", "输入时间格式错误", value) from None
    if call.box.clock.now() < start + common.DAY + READY_HOUR * 3600:
        raise common.invalid("明细未生成")
    return start


def _by_day(call: PayCall, kind: str, name: str) -> Reply:
    stock, start = _own_stock(call), _day(call)
    end = start + common.DAY
    rows = [e for e in _rows(call, stock, kind) if start <= e["time"] < end]
    url, digest = _offer(call, _file(stock, rows, kind))
    count = str(len(rows))
    return 200, {"url": url, f"stock_{name}_hash": digest, f"stock_{name}_count": count}


@route("GET", f"{PATH}/stocks/{{stock_id}}/use-flow-by-day")
def use_flow_by_day(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/marketing/favor/stocks/{stock_id}/use-flow-by-day"""
    return _by_day(call, USED, "useflow")


@route("GET", f"{PATH}/stocks/{{stock_id}}/refund-flow-by-day")
def refund_flow_by_day(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/marketing/favor/stocks/{stock_id}/refund-flow-by-day"""
    return _by_day(call, REFUNDED, "refundflow")
