"""WeChat Pay's bills as files: the trade bill and the fund flow of a day.

Nothing here knows records. A bill is read as a stream, line by line, whatever its
size; what is kept in memory is one line. Contracts 5.9 has the columns.

UTF-8, maybe with a BOM, maybe GZIP; a header, lines with a backtick before every
cell, a header of the sums and the sums. Amounts are yuan in the file and integer fen
here. Times are Beijing time in the file and UTC here.
"""

import gzip
import hashlib
import io
import re
import zlib
from datetime import datetime, timedelta
from typing import NamedTuple

#: bytes of an uncompressed bill; a line has about 400
MAX_BYTES = 512 * 1024 * 1024
#: bytes of one line; the longest cell has 128 characters
MAX_LINE = 64 * 1024
#: China has one time zone and no daylight saving time.
BEIJING = timedelta(hours=8)

_AMOUNT = re.compile(r"-?[0-9]{1,15}\.[0-9]{2}", re.ASCII)
_LONG_AMOUNT = re.compile(r"(-?)([0-9]{1,15})(?:\.([0-9]{1,5}))?", re.ASCII)
_RATE = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,4}))?%", re.ASCII)
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


class BillError(ValueError):
    """What is wrong with a file.

    :param str code: key of the sentence
    :param values: what goes into the sentence
    """

    def __init__(self, code, **values):
        super().__init__(f"{code} {values}")
        self.code = code
        self.values = values


class TradeLine(NamedTuple):
    """One payment or one refund; the names are those of ``wechat.pay.bill.line``."""

    line_no: int
    kind: str
    number: str
    order_number: str
    remote_no: str
    order_remote_no: str
    trade_at: datetime
    appid: str
    mchid: str
    sub_mchid: str
    device: str
    openid: str
    trade_type: str
    trade_state: str
    refund_state: str
    bank_type: str
    amount_fen: int
    settlement_fen: int
    coupon_fen: int
    fee_fen: int
    fee_exact: str
    fee_expected_fen: int | None
    rate: str
    product: str
    attach: str


class FlowLine(NamedTuple):
    """One movement of money; the names are those of ``wechat.pay.fund.line``."""

    line_no: int
    booked_at: datetime
    business_no: str
    flow_no: str
    business: str
    business_type: str
    direction: str
    amount_fen: int
    balance_fen: int
    applicant: str
    note: str
    voucher_no: str


_TRADE = (
    "交易时间",
    "公众账号ID",
    "商户号",
    "特约商户号",
    "设备号",
    "微信订单号",
    "商户订单号",
    "用户标识",
    "交易类型",
    "交易状态",
    "付款银行",
    "应结订单金额",
    "代金券金额",
    "商品名称",
    "商户数据包",
    "手续费",
    "费率",
    "订单金额",
)
_REFUND = (
    "微信退款单号",
    "商户退款单号",
    "退款金额",
    "充值券退款金额",
    "退款状态",
    "申请退款金额",
)
_FLOW = (
    "记账时间",
    "微信支付业务单号",
    "资金流水单号",
    "业务名称",
    "业务类型",
    "收支类型",
    "收支金额（元）",
    "账户结余（元）",
    "资金变更提交申请人",
    "备注",
    "业务凭证号",
)
#: the column of free text that takes the cells a separator in it has made
_FREE_TEXT = {"trade": "商品名称", "fundflow": "备注"}

#: name of a sum in the file: how it is known here
_TRADE_SUMS = {
    "总交易单数": "count",
    "应结订单总金额": "settlement_fen",
    "退款总金额": "refund_settlement_fen",
    "充值券退款总金额": "refund_coupon_fen",
    "手续费总金额": "fee_fen",
    "订单总金额": "amount_fen",
    "申请退款总金额": "refund_fen",
}
_FLOW_SUMS = {
    "资金流水总笔数": "count",
    "收入笔数": "in_count",
    "收入金额": "in_fen",
    "支出笔数": "out_count",
    "支出金额": "out_fen",
}
_COUNTS = ("count", "in_count", "out_count")


# === CELLS === #


def yuan_to_fen(text):
    """Return yuan as integer fen, exactly.

    :raises BillError: if it is no amount or has a part of a fen
    """
    if _AMOUNT.fullmatch(text):
        return int(text[:-3] + text[-2:])
    thousandths = _thousandths(text)
    if thousandths % 1000:
        raise BillError("amount", text=text)
    return thousandths // 1000


def fee_to_fen(text):
    """Return a fee, which may have parts of a fen, rounded half up."""
    return half_up(_thousandths(text), 1000)


def _thousandths(text):
    """Return yuan as thousandths of a fen; an empty cell is nothing."""
    if not text:
        return 0
    match = _LONG_AMOUNT.fullmatch(text)
    if not match:
        raise BillError("amount", text=text)
    sign, whole, part = match.groups()
    value = int(whole + (part or "").ljust(5, "0"))
    return -value if sign else value


def half_up(value, divisor):
    """Return ``value / divisor`` rounded half away from zero."""
    sign = -1 if value < 0 else 1
    return sign * ((abs(value) * 2 + divisor) // (2 * divisor))


def expected_fee(rate, settlement):
    """Return the fee in fen that a rate asks for, ``None`` without a rate.

    :param str rate: e.g. ``0.60%``
    :param int settlement: fen; negative for a refund
    """
    match = _RATE.fullmatch(rate)
    if not match:
        return None
    millionths = int(match[1] + (match[2] or "").ljust(4, "0"))
    return half_up(settlement * millionths, 1_000_000)


def to_utc(text):
    """Return a time of the bill (``2026-02-01 12:00:00``, Beijing) as naive UTC."""
    try:
        if len(text) != 19:
            raise ValueError
        return datetime.fromisoformat(text) - BEIJING
    except (ValueError, OverflowError):
        raise BillError("time", text=text) from None


def beijing_day(moment):
    """Return the Beijing date of a naive UTC time."""
    return (moment + BEIJING).date()


def day_bounds(day):
    """Return the first moment of a Beijing date and that of the next, naive UTC."""
    start = datetime(day.year, day.month, day.day) - BEIJING
    return start, start + timedelta(days=1)


# === THE FILE === #


class BillReader:
    """Iterates over the lines of a bill; afterwards the sums are checked.

    :param source: bytes or a binary file, plain or GZIP
    :param int limit: of the uncompressed bytes
    :ivar str kind: ``trade`` or ``fundflow``, known at once
    :ivar str covers: of a trade bill ``all``, ``success`` (payments only) or
        ``refund``
    :ivar dict sums: what the lines add up to; complete after the last line
    :ivar str sha1: of the uncompressed file, after the last line
    :ivar int size: bytes of the uncompressed file, after the last line
    :raises BillError: if the file is no bill, is damaged or does not add up
    """

    def __init__(self, source, limit=MAX_BYTES):
        self._lines = _Lines(source, limit)
        self.sums = {}
        self._names = self._read_header()
        self._count = len(self._names)
        index = {name: place for place, name in enumerate(self._names)}
        self._text = index[_FREE_TEXT[self.kind]]
        self._index = index
        self._rates = {}

    @property
    def sha1(self):
        return self._lines.sha1.hexdigest()

    @property
    def size(self):
        return self._lines.size

    def _read_header(self):
        names = [_clean(name) for name in self._lines.next_line().split(",")]
        known = set(names)
        if "资金流水单号" in known:
            self.kind, self.covers, needed = "fundflow", "all", _FLOW
        elif "微信订单号" in known:
            self.kind = "trade"
            refunds = "商户退款单号" in known
            self.covers = "success" if not refunds else "all"
            if "退款成功时间" in known:
                self.covers = "refund"
            needed = _TRADE + (_REFUND if refunds else ())
        else:
            raise BillError("no_bill")
        missing = [name for name in needed if name not in known]
        if missing:
            raise BillError("columns", names=", ".join(missing))
        return names

    def __iter__(self):
        """Yield :class:`TradeLine` or :class:`FlowLine`."""
        make = self._flow_line if self.kind == "fundflow" else self._trade_line
        add = self._add_flow if self.kind == "fundflow" else self._add_trade
        number = 0
        for text in self._lines:
            if not text.startswith("`"):
                self._finish(text)
                return
            number += 1
            try:
                line = make(number, self._cells(text))
            except BillError as error:
                error.values.setdefault("line", number)
                raise
            add(line)
            yield line
        raise BillError("cut_off")

    def _cells(self, text):
        """Split on the backtick, not on the comma: names have commas."""
        cells = text[1:].split(",`")
        while len(cells) < self._count:
            # A name with a line break in it.
            text = f"{text} {self._lines.next_line()}"
            if len(text) > MAX_LINE:
                raise BillError("cells")
            cells = text[1:].split(",`")
        extra = len(cells) - self._count
        if extra:
            # A name with a separator in it: the cells behind are counted from the end.
            first, end = self._text, self._text + extra + 1
            cells[first:end] = [",`".join(cells[first:end])]
        return cells

    # === LINES === #

    def _trade_line(self, number, cells):
        at = self._index

        def cell(name):
            place = at.get(name)
            return cells[place].strip() if place is not None else ""

        state = cell("交易状态")
        refund = state in ("REFUND", "REVOKED")
        order_number, order_remote = cell("商户订单号"), cell("微信订单号")
        own, remote = order_number, order_remote
        amounts = ("订单金额", "应结订单金额", "代金券金额")
        if refund:
            own, remote = cell("商户退款单号"), cell("微信退款单号")
            amounts = ("申请退款金额", "退款金额", "充值券退款金额")
        if not own or not remote or not state:
            raise BillError("numbers")
        amount, settlement, coupon = (yuan_to_fen(cell(name)) for name in amounts)
        moment = (refund and cell("退款成功时间")) or cell("交易时间")
        rate = cell("费率")
        return TradeLine(
            number,
            "refund" if refund else "payment",
            own,
            order_number,
            remote,
            order_remote,
            to_utc(moment),
            cell("公众账号ID"),
            cell("商户号"),
            _number(cell("特约商户号")),
            cell("设备号"),
            cell("用户标识"),
            cell("交易类型"),
            state,
            cell("退款状态") if refund else "",
            cell("付款银行"),
            amount,
            settlement,
            coupon,
            fee_to_fen(cell("手续费")),
            cell("手续费"),
            expected_fee(rate, -settlement if refund else settlement),
            rate,
            cell("商品名称"),
            cell("商户数据包"),
        )

    def _flow_line(self, number, cells):
        at = self._index

        def cell(name):
            return cells[at[name]].strip()

        direction = cell("收支类型")
        if direction not in ("收入", "支出"):
            raise BillError("direction", text=direction)
        amount = yuan_to_fen(cell("收支金额（元）"))
        return FlowLine(
            number,
            to_utc(cell("记账时间")),
            _number(cell("微信支付业务单号")),
            cell("资金流水单号"),
            cell("业务名称"),
            cell("业务类型"),
            "in" if direction == "收入" else "out",
            amount if direction == "收入" else -amount,
            yuan_to_fen(cell("账户结余（元）")),
            cell("资金变更提交申请人"),
            cell("备注"),
            cell("业务凭证号"),
        )

    # === SUMS === #

    def _plus(self, name, value):
        self.sums[name] = self.sums.get(name, 0) + value

    def _add_trade(self, line):
        self._plus("count", 1)
        self._plus("fee_thousandths", _thousandths(line.fee_exact))
        if line.kind == "refund":
            self._plus("refund_fen", line.amount_fen)
            self._plus("refund_settlement_fen", line.settlement_fen)
            self._plus("refund_coupon_fen", line.coupon_fen)
        else:
            self._plus("amount_fen", line.amount_fen)
            self._plus("settlement_fen", line.settlement_fen)
        self._plus("fee_fen", line.fee_fen)

    def _add_flow(self, line):
        self._plus("count", 1)
        self._plus(f"{line.direction}_count", 1)
        self._plus(f"{line.direction}_fen", abs(line.amount_fen))
        if line.line_no == 1:
            self.sums["balance_start_fen"] = line.balance_fen - line.amount_fen
        self.sums["balance_end_fen"] = line.balance_fen

    def _finish(self, header):
        """Compare the sums of the file with those of its lines."""
        known = _FLOW_SUMS if self.kind == "fundflow" else _TRADE_SUMS
        names = [_clean(name) for name in header.split(",")]
        if names[0] not in known:
            raise BillError("cells")
        values = self._lines.next_line()[1:].split(",`")
        if len(values) != len(names):
            raise BillError("cut_off")
        for name, text in zip(names, values, strict=True):
            if name in known:
                self._compare(name, known[name], text.strip())
        for text in self._lines:
            if text.strip():
                raise BillError("cells")

    def _compare(self, name, key, text):
        if key in _COUNTS:
            said = int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else None
            found = self.sums.get(key, 0)
        elif key == "fee_fen":
            said, found = _thousandths(text), self.sums.get("fee_thousandths", 0)
        else:
            said, found = yuan_to_fen(text), self.sums.get(key, 0)
        if said != found:
            raise BillError("sum", name=name, text=text)


def _clean(name):
    return name.strip().strip("`").strip()


def _number(text):
    """WeChat writes 0 where there is no number."""
    return "" if text == "0" else text


class _Lines:
    """The lines of a file as text: unzipped, counted and hashed on the way."""

    def __init__(self, source, limit):
        if isinstance(source, bytes | bytearray | memoryview):
            source = io.BytesIO(source)
        self.sha1 = hashlib.sha1(usedforsecurity=False)
        self.size = 0
        self._limit = limit
        buffered = io.BufferedReader(_Raw(source), 65536)
        if buffered.peek(2)[:2] == _GZIP:
            # Reads ahead by its buffer only, however much a bomb would make.
            buffered = io.BufferedReader(gzip.GzipFile(fileobj=buffered), 65536)
        self._file = buffered

    def __iter__(self):
        while True:
            text = self._read()
            if text is None:
                return
            yield text

    def next_line(self):
        """Return the next line without its end.

        :raises BillError: at the end of the file
        """
        text = self._read()
        if text is None:
            raise BillError("cut_off" if self.size else "no_bill")
        return text

    def _read(self):
        try:
            raw = self._file.readline(MAX_LINE + 1)
        except (OSError, EOFError, zlib.error):
            raise BillError("gzip") from None
        if not raw:
            return None
        first = not self.size
        self.size += len(raw)
        if self.size > self._limit:
            raise BillError("size", megabytes=self._limit // 1024 // 1024)
        if len(raw) > MAX_LINE:
            raise BillError("no_bill" if first else "cells")
        self.sha1.update(raw)
        if first:
            raw = raw.removeprefix(_BOM)
        try:
            # PostgreSQL knows no NUL.
            return raw.decode().rstrip("\r\n").replace("\0", "")
        except UnicodeDecodeError:
            raise BillError("no_bill" if first else "encoding") from None


class _Raw(io.RawIOBase):
    """Any binary file as one that a buffer can stand on, without closing it."""

    def __init__(self, source):
        super().__init__()
        self._source = source

    def readable(self):
        return True

    def readinto(self, target):
        data = self._source.read(len(target))
        target[: len(data)] = data
        return len(data)
