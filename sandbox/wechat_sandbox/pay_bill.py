"""Bills: the trade bill and the fund flow of a day, made from what took place here.

WeChat docs: GET /v3/bill/tradebill, GET /v3/bill/fundflowbill,
GET /v3/billdownload/file.
"""

import gzip
import hashlib
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from . import pay_schema as schema
from . import pay_transactions as orders
from . import pay_vouchers
from .clock import beijing, midnight
from .errors import ControlError, PayError
from .pay_core import PayCall, Reply, route
from .pay_refund import order_of

if TYPE_CHECKING:
    from .sandbox import Sandbox

READY_HOUR = 10
MAX_DAYS = 92
TOKEN_LIFE = 300
#: Six per mille, in parts of ten thousand.
FEE_RATE = 60
RATE = "0.60%"

_HEAD = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,"
    "交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额"
)
_REFUND = (
    "微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,"
    "商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
COLUMNS = {
    "ALL": f"{_HEAD},{_REFUND}",
    "SUCCESS": f"{_HEAD},商品名称,商户数据包,手续费,费率,订单金额,费率备注",
    "REFUND": f"{_HEAD},退款申请时间,退款成功时间,{_REFUND}",
}
SUMMARY = (
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,"
    "订单总金额,申请退款总金额"
)
FLOW = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,"
    "收支金额（元）,账户结余（元）,资金变更提交申请人,备注,业务凭证号"
)
FLOW_SUMMARY = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"
OTHER_TYPES = ("RECHARGE_REFUND", "ALL_SPECIAL", "SUC_SPECIAL", "REF_SPECIAL")
ACCOUNTS = ("BASIC", "OPERATION", "FEES")
#: what a bill can be made to say, and the field that it needs
KINDS = {
    "missing_line": "kind",
    "extra_line": "amount",
    "other_amount": "amount",
    "other_settlement": "amount",
    "other_coupon": "amount",
    "other_fee": "fee",
    "other_state": "state",
}
#: columns of a payment and of a refund
_OTHER = {
    "other_amount": ("订单金额", "申请退款金额"),
    "other_settlement": ("应结订单金额", "退款金额"),
    "other_coupon": ("代金券金额", "充值券退款金额"),
    "other_state": ("交易状态", "退款状态"),
}

Row = dict[str, Any]


# -- money --------------------------------------------------------
def fee(settlement: int) -> int:
    """Return the fee in fen, rounded half up."""
    return (settlement * FEE_RATE + 5000) // 10000


def fee_back(box: "Sandbox", record: dict[str, Any]) -> int:
    """Return the fee that a refund gives back; a full refund gives all of it back."""
    order = order_of(box, record)
    total = order["settlement_total"]
    done = 0
    for key in order["refunds"]:
        other = box.state.refunds[key]
        if other is record:
            break
        if other["status"] == "SUCCESS":
            done += other["settlement_refund"]
    left = total - done
    return fee(left) - fee(left - record["settlement_refund"])


def yuan(fen: int, places: int = 2) -> str:
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}" + "0" * (places - 2)


def _stamp(moment: float) -> str:
    return beijing(moment).strftime("%Y-%m-%d %H:%M:%S")


# -- lines --------------------------------------------------------
def _order_row(order: dict[str, Any], moment: float) -> Row:
    request = order["request"]
    device = request.get("scene_info", {}).get("device_id", "")
    return {
        "time": moment,
        "交易时间": _stamp(moment),
        "公众账号ID": request["appid"],
        "商户号": order["mchid"],
        "特约商户号": orders.sub_of(order) or "0",
        "设备号": device,
        "微信订单号": order["transaction_id"],
        "商户订单号": order["out_trade_no"],
        "用户标识": order["openid"],
        "交易类型": order["trade_type"],
        "付款银行": order["bank_type"],
        "货币种类": "CNY",
        "商品名称": request["description"],
        "商户数据包": request.get("attach", ""),
        "费率": RATE,
        "费率备注": "",
    }


def _payment(order: dict[str, Any]) -> Row:
    return {
        **_order_row(order, order["paid_at"]),
        "交易状态": "SUCCESS",
        "应结订单金额": order["settlement_total"],
        "代金券金额": pay_vouchers.sum_of(order["promotion_detail"], "CASH"),
        "微信退款单号": "0",
        "商户退款单号": "0",
        "退款金额": 0,
        "充值券退款金额": 0,
        "退款类型": "",
        "退款状态": "",
        "手续费": fee(order["settlement_total"]),
        "订单金额": order["request"]["amount"]["total"],
        "申请退款金额": 0,
    }


def _refund(box: "Sandbox", record: dict[str, Any]) -> Row:
    order = order_of(box, record)
    moment = record["success_at"]
    return {
        **_order_row(order, moment),
        "交易状态": "REVOKED" if order["trade_state"] == "REVOKED" else "REFUND",
        "应结订单金额": 0,
        "代金券金额": 0,
        "退款申请时间": _stamp(record["created"]),
        "退款成功时间": _stamp(moment),
        "微信退款单号": record["refund_id"],
        "商户退款单号": record["out_refund_no"],
        "退款金额": record["settlement_refund"],
        "充值券退款金额": record["coupon_refund"],
        "退款类型": "ORIGINAL",
        "退款状态": "SUCCESS",
        "手续费": -fee_back(box, record),
        "订单金额": 0,
        "申请退款金额": record["refund"],
    }


def _trades(box: "Sandbox", mchid: str) -> list[Row]:
    """Return all lines of a merchant, oldest first."""
    rows = [
        _payment(order)
        for order in box.state.orders.values()
        if order["mchid"] == mchid and order["transaction_id"]
    ]
    rows += [
        _refund(box, record)
        for record in box.state.refunds.values()
        if record["mchid"] == mchid and record["status"] == "SUCCESS"
    ]
    return sorted(rows, key=lambda row: row["time"])


def _flows(box: "Sandbox", mchid: str) -> list[Row]:
    """Return every movement of money with the balance after it."""
    rows: list[Row] = []
    balance = 0
    for trade in _trades(box, mchid):
        paid = trade["应结订单金额"]
        back = trade["退款金额"] + trade["手续费"]
        moves = [("交易", "交易", paid), ("交易", "扣除交易手续费", -trade["手续费"])]
        if trade["退款类型"]:
            moves = [("退款", "退款", -back)]
        for name, kind, amount in moves:
            if not amount:
                continue
            balance += amount
            rows.append(_flow(trade, name, kind, amount, balance))
    return rows


def _flow(trade: Row, name: str, kind: str, amount: int, balance: int) -> Row:
    refund = bool(trade["退款类型"])
    own = trade["商户退款单号" if refund else "商户订单号"]
    number = trade["微信退款单号" if refund else "微信订单号"]
    suffix = "2" if kind == "扣除交易手续费" else "1"
    return {
        "time": trade["time"],
        "商户订单号": trade["商户订单号"],
        "商户退款单号": own if refund else "0",
        "微信订单号": trade["微信订单号"],
        "记账时间": _stamp(trade["time"]),
        "微信支付业务单号": number,
        "资金流水单号": number[-20:] + suffix,
        "业务名称": name,
        "业务类型": kind,
        "收支类型": "收入" if amount > 0 else "支出",
        "收支金额（元）": abs(amount),
        "账户结余（元）": balance,
        "资金变更提交申请人": "system" if not refund else f"{trade['商户号']}API",
        "备注": "",
        "业务凭证号": own,
    }


# -- differences that a test orders -----------------------------------------------
def add_change(box: "Sandbox", mchid: str, data: dict[str, Any]) -> dict[str, Any]:
    """Let a bill say something else than what took place."""
    numbers = ("amount", "fee")
    texts = ("bill_date", "bill", "kind", "out_trade_no", "out_refund_no", "state")
    for name, value in data.items():
        if name not in (*numbers, *texts, "transaction_id", "description"):
            raise ControlError(f"unknown field {name}")
        kind = int if name in numbers else str
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ControlError(f"{name} has the wrong type")
    if data.get("kind") not in KINDS:
        raise ControlError(f"kind must be one of {', '.join(KINDS)}")
    if data.get("bill", "tradebill") not in ("tradebill", "fundflowbill"):
        raise ControlError("bill must be tradebill or fundflowbill")
    needed = KINDS[data["kind"]]
    if needed not in data:
        raise ControlError(f"{needed} is required")
    if data["kind"] in ("other_settlement", "other_coupon", "other_state"):
        if data.get("bill", "tradebill") != "tradebill":
            raise ControlError("only a tradebill has that")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", data.get("bill_date", "")):
        raise ControlError("bill_date is required")
    if not data.get("out_trade_no") and not data.get("out_refund_no"):
        raise ControlError("out_trade_no or out_refund_no is required")
    change = {"bill": "tradebill", **data}
    box.state.bill_changes.setdefault(mchid, []).append(change)
    return change


def _change(box: "Sandbox", mchid: str, bill: str, day: str, rows: list[Row]) -> None:
    for change in box.state.bill_changes.get(mchid, []):
        if change["bill"] != bill or change["bill_date"] != day:
            continue
        if change["kind"] == "extra_line":
            rows.append(_extra(mchid, change, rows))
            continue
        for row in [row for row in rows if _meant(row, change)]:
            _alter(row, change, rows)


def _meant(row: Row, change: dict[str, Any]) -> bool:
    refund = change.get("out_refund_no", "0")
    own = change.get("out_trade_no", row["商户订单号"])
    return row["商户订单号"] == own and row["商户退款单号"] == refund


def _alter(row: Row, change: dict[str, Any], rows: list[Row]) -> None:
    if change["kind"] == "missing_line":
        rows.remove(row)
    elif change["kind"] == "other_fee":
        name = "手续费" if "手续费" in row else "收支金额（元）"
        if name == "手续费" or row["业务类型"] == "扣除交易手续费":
            row[name] = change["fee"]
    elif "收支金额（元）" in row:
        if row["业务类型"] != "扣除交易手续费":
            row["收支金额（元）"] = change["amount"]
    else:
        kind = change["kind"]
        name = _OTHER[kind][bool(row["退款类型"])]
        row[name] = change["state" if kind == "other_state" else "amount"]
        if kind == "other_amount":
            # Without coupons the one is the other.
            row[_OTHER["other_settlement"][bool(row["退款类型"])]] = change["amount"]


def _extra(mchid: str, change: dict[str, Any], rows: list[Row]) -> Row:
    """Make a line for a payment that never took place here."""
    moment = datetime.fromisoformat(f"{change['bill_date']}T12:00:00+08:00")
    amount = change["amount"]
    order = {
        "mchid": mchid,
        "out_trade_no": change.get("out_trade_no", ""),
        "transaction_id": change.get("transaction_id", "4200" + "9" * 24),
        "trade_type": "NATIVE",
        "openid": "oNobody",
        "bank_type": "OTHERS",
        "paid_at": moment.timestamp(),
        "settlement_total": amount,
        "promotion_detail": [],
        "request": {
            "appid": rows[0].get("公众账号ID", "wx") if rows else "wx",
            "description": change.get("description", "其他"),
            "amount": {"total": amount},
        },
    }
    row = _payment(order)
    if change.get("out_refund_no"):
        row = _extra_refund(order, change)
    row["手续费"] = change.get("fee", row["手续费"])
    if change["bill"] == "tradebill":
        return row
    balance = rows[-1]["账户结余（元）"] if rows else 0
    if change.get("out_refund_no"):
        amount = -amount - row["手续费"]
        return _flow(row, "退款", "退款", amount, balance + amount)
    return _flow(row, "交易", "交易", amount, balance + amount)


def _extra_refund(order: dict[str, Any], change: dict[str, Any]) -> Row:
    """Turn a made-up payment into the line of a made-up refund."""
    row = _payment(order)
    moved = {
        "交易状态": "REFUND",
        "应结订单金额": 0,
        "订单金额": 0,
        "退款申请时间": row["交易时间"],
        "退款成功时间": row["交易时间"],
        "微信退款单号": "503" + "9" * 26,
        "商户退款单号": change["out_refund_no"],
        "退款金额": change["amount"],
        "申请退款金额": change["amount"],
        "退款类型": "ORIGINAL",
        "退款状态": "SUCCESS",
        "手续费": -row["手续费"],
    }
    return {**row, **moved}


# -- text --------------------------------------------------------
def _csv(columns: str, rows: Iterable[Row], summary: str, sums: list[str]) -> bytes:
    """Return a bill: BOM, CRLF, and a backtick before every cell of the lines."""
    names = columns.split(",")
    lines = [columns]
    lines += [",".join("`" + _cell(name, row[name]) for name in names) for row in rows]
    lines += [summary, ",".join("`" + value for value in sums)]
    return ("\ufeff" + "\r\n".join(lines) + "\r\n").encode()


def _cell(name: str, value: Any) -> str:
    if isinstance(value, int):
        return yuan(value, 5 if name == "手续费" else 2)
    return re.sub(r"[\r\n]+", " ", value)


def trade_bill(
    box: "Sandbox", mchid: str, day: str, kind: str, sub: str = ""
) -> bytes | None:
    """Return the trade bill of a day, None where there is nothing to tell.

    :param sub: only what was collected for this sub-merchant
    """
    rows = [row for row in _trades(box, mchid) if row["交易时间"][:10] == day]
    _change(box, mchid, "tradebill", day, rows)
    if sub:
        rows = [row for row in rows if row["特约商户号"] == sub]
    if kind != "ALL":
        rows = [row for row in rows if bool(row["退款类型"]) is (kind == "REFUND")]
    if not rows:
        return None

    def total(name: str) -> int:
        return sum(row[name] for row in rows)

    sums = [str(len(rows)), yuan(total("应结订单金额")), yuan(total("退款金额"))]
    sums += [yuan(total("充值券退款金额")), yuan(total("手续费"), 5)]
    sums += [yuan(total("订单金额")), yuan(total("申请退款金额"))]
    return _csv(COLUMNS[kind], rows, SUMMARY, sums)


def flow_bill(box: "Sandbox", mchid: str, day: str, account: str) -> bytes | None:
    """Return the fund flow of a day; money moves in the basic account only."""
    rows = [row for row in _flows(box, mchid) if row["记账时间"][:10] == day]
    _change(box, mchid, "fundflowbill", day, rows)
    if not rows or account != "BASIC":
        return None
    sums = [str(len(rows))]
    for kind in ("收入", "支出"):
        amounts = [row["收支金额（元）"] for row in rows if row["收支类型"] == kind]
        sums += [str(len(amounts)), yuan(sum(amounts))]
    return _csv(FLOW, rows, FLOW_SUMMARY, sums)


# -- calls --------------------------------------------------------
def _choice(call: PayCall, name: str, choices: tuple, default: str = "") -> str:
    value = call.query.get(name, default)
    if value not in (*choices, default):
        raise schema.param_error(name, value, "取值不在枚举范围内", location="query")
    return value


def _check_day(call: PayCall) -> str:
    """Return the date; before ten the next morning there is no bill."""
    value = call.need_query("bill_date")
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
            raise ValueError
        start = datetime.fromisoformat(f"{value}T00:00:00+08:00").timestamp()
    except ValueError:
        message = "账单日期格式错误"
        raise schema.param_error(
            "bill_date", value, message, location="query"
        ) from None
    now = call.box.clock.now()
    ready = start + 86400 + READY_HOUR * 3600
    if now < ready or midnight(now) - start > MAX_DAYS * 86400:
        raise _missing()
    return value


def _missing() -> PayError:
    return PayError(400, "NO_STATEMENT_EXIST", "账单文件不存在", schema.BAD_PARAM)


def _offer(call: PayCall, make: Callable[[], bytes | None]) -> Reply:
    """Keep a file for one download and say where it is."""
    gzipped = bool(_choice(call, "tar_type", ("GZIP",)))
    content = make()
    if content is None:
        raise _missing()
    state = call.box.state
    token = state.random_text(43)
    state.bills[token] = {
        "mchid": call.merchant.mchid,
        "text": content.decode(),
        "gzip": gzipped,
        "expires": call.box.clock.now() + TOKEN_LIFE,
    }
    state.touch()
    return 200, {
        "hash_type": "SHA1",
        "hash_value": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        "download_url": f"{call.base_url}/v3/billdownload/file?token={token}",
    }


@route("GET", "/v3/bill/tradebill")
def tradebill(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/bill/tradebill"""
    kind = _choice(call, "bill_type", (*COLUMNS, *OTHER_TYPES), "ALL")
    day, mchid = _check_day(call), call.merchant.mchid
    if kind in OTHER_TYPES:
        raise _missing()
    sub = call.query.get("sub_mchid", "")
    if sub:
        orders.check_sub(call, sub)
    return _offer(call, lambda: trade_bill(call.box, mchid, day, kind, sub))


@route("GET", "/v3/bill/fundflowbill")
def fundflowbill(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/bill/fundflowbill"""
    account = _choice(call, "account_type", ACCOUNTS, "BASIC")
    day, mchid = _check_day(call), call.merchant.mchid
    return _offer(call, lambda: flow_bill(call.box, mchid, day, account))


@route("GET", "/v3/billdownload/file")
def download(call: PayCall) -> web.Response:
    """Hand out a bill once; the answer is not signed.

    WeChat docs: GET /v3/billdownload/file
    """
    token = call.need_query("token")
    entry = call.box.state.bills.get(token)
    expired = entry is None or entry["expires"] < call.box.clock.now()
    if expired or entry["mchid"] != call.merchant.mchid:
        raise PayError(400, "INVALID_REQUEST", "token无效或已过期", schema.BAD_PARAM)
    del call.box.state.bills[token]
    call.box.state.touch()
    body, kind = entry["text"].encode(), "text/plain"
    if entry["gzip"]:
        body, kind = gzip.compress(body), "application/gzip"
    return web.Response(body=body, content_type=kind)
