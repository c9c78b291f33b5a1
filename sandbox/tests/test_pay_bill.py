"""Bills: their format, their sums, when they are there, and ordered differences."""

import gzip
import hashlib
import time

import pytest
from pay_harness import MCHID, NATIVE, code_of, order

REFUNDS = "/v3/refund/domestic/refunds"
CHANGES = f"pay/bills/{MCHID}/changes"


def day_of(box) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(box.get("state")["now"] + 8 * 3600))


def tomorrow(box, hour: int = 10, minute: int = 0) -> None:
    """Move the clock to the next Beijing day."""
    now = box.get("state")["now"] + 8 * 3600
    start = now - now % 86400 + 86400
    box.post("clock", set=start - 8 * 3600 + hour * 3600 + minute * 60 + 1)


def noon(box) -> str:
    tomorrow(box, 12)
    return day_of(box)


def sha1(raw: bytes) -> str:
    return hashlib.sha1(raw, usedforsecurity=False).hexdigest()


def offer(pay, path, **query):
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return pay.call("GET", f"{path}?{text}".rstrip("?"))


def fetch(pay, url):
    return pay.call("GET", url.removeprefix(pay.box.url))


def read(pay, day, path="/v3/bill/tradebill", **query):
    """Return the file's lines as lists of cells."""
    found = offer(pay, path, bill_date=day, **query)
    assert found.status_code == 200, found.text
    raw = fetch(pay, found.json()["download_url"]).content
    assert raw.startswith(b"\xef\xbb\xbf")
    assert sha1(raw) == found.json()["hash_value"]
    lines = raw.decode("utf-8-sig").split("\r\n")
    assert lines.pop() == "" and "\n" not in "".join(lines)
    rows = [line[1:].split(",`") for line in lines[1:-2]]
    head = lines[0].split(",")
    assert all(line.startswith("`") for line in (*lines[1:-2], lines[-1]))
    sums = dict(zip(lines[-2].split(","), lines[-1][1:].split(",`"), strict=True))
    return [dict(zip(head, row, strict=True)) for row in rows], sums


@pytest.fixture
def day(box, pay, user):
    """A day with a plain payment, one with vouchers, and a refund of each."""
    day = noon(box)
    box.post("settings", refund_gap_seconds=0, auto_refund=True)
    pay.call("POST", NATIVE, order(description="咖啡, `大`", attach="till 1"))
    box.post(f"pay/orders/{MCHID}/ORDER-0001/pay")
    box.post(f"phone/{user}/vouchers", type="CASH", amount=1000)
    box.post(f"phone/{user}/vouchers", type="NOCASH", amount=2000)
    changed = {"out_trade_no": "ORDER-0002", "amount": {"total": 10000}}
    pay.call("POST", NATIVE, order(**changed))
    box.post(f"pay/orders/{MCHID}/ORDER-0002/pay", openid=user)
    amount = {"refund": 5000, "total": 10000, "currency": "CNY"}
    body = {"out_trade_no": "ORDER-0002", "out_refund_no": "R2", "amount": amount}
    assert pay.call("POST", REFUNDS, body).status_code == 200
    return day


def test_trade_bill(box, pay, day):
    tomorrow(box)
    rows, sums = read(pay, day)
    assert len(rows) == 3 and len(rows[0]) == 27
    first, second, back = rows
    assert first["商品名称"] == "咖啡, `大`" and first["商户数据包"] == "till 1"
    assert first["应结订单金额"] == "10.00" and first["手续费"] == "0.06000"
    assert first["费率"] == "0.60%" and first["退款类型"] == ""
    assert second["应结订单金额"] == "80.00" and second["订单金额"] == "100.00"
    assert second["代金券金额"] == "10.00" and second["手续费"] == "0.48000"
    assert back["应结订单金额"] == "0.00" and back["交易状态"] == "REFUND"
    assert back["退款金额"] == "40.00" and back["申请退款金额"] == "50.00"
    assert back["充值券退款金额"] == "5.00" and back["手续费"] == "-0.24000"
    assert back["商户退款单号"] == "R2" and back["退款状态"] == "SUCCESS"
    assert list(sums.values()) == [
        *("3", "90.00", "40.00", "5.00", "0.30000", "110.00", "50.00")
    ]


def test_kinds_of_trade_bill(box, pay, day):
    tomorrow(box)
    rows, sums = read(pay, day, bill_type="SUCCESS")
    assert len(rows) == 2 and len(rows[0]) == 20 and sums["退款总金额"] == "0.00"
    rows, sums = read(pay, day, bill_type="REFUND")
    assert len(rows) == 1 and len(rows[0]) == 29
    assert rows[0]["退款成功时间"].startswith(day)
    answer = offer(pay, "/v3/bill/tradebill", bill_date=day, bill_type="ALL_SPECIAL")
    assert code_of(answer) == (400, "NO_STATEMENT_EXIST")


def test_fund_flow(box, pay, day):
    tomorrow(box)
    rows, sums = read(pay, day, "/v3/bill/fundflowbill", account_type="BASIC")
    assert len(rows) == 5 and len(rows[0]) == 11
    kinds = [(row["业务类型"], row["收支类型"], row["收支金额（元）"]) for row in rows]
    assert kinds == [
        ("交易", "收入", "10.00"),
        ("扣除交易手续费", "支出", "0.06"),
        ("交易", "收入", "80.00"),
        ("扣除交易手续费", "支出", "0.48"),
        ("退款", "支出", "39.76"),
    ]
    assert rows[-1]["账户结余（元）"] == "49.70" and rows[-1]["业务凭证号"] == "R2"
    assert list(sums.values()) == ["5", "2", "90.00", "3", "40.30"]
    path = "/v3/bill/fundflowbill"
    answer = offer(pay, path, bill_date=day, account_type="FEES")
    assert code_of(answer) == (400, "NO_STATEMENT_EXIST")


def test_all_fees_come_back(box, pay):
    day = noon(box)
    box.post("settings", refund_gap_seconds=0, auto_refund=True)
    pay.call("POST", NATIVE, order(amount={"total": 777}))
    box.post(f"pay/orders/{MCHID}/ORDER-0001/pay")
    for number, part in enumerate((100, 301, 376)):
        amount = {"refund": part, "total": 777, "currency": "CNY"}
        body = {"out_trade_no": "ORDER-0001", "out_refund_no": f"R{number}"}
        pay.call("POST", REFUNDS, {**body, "amount": amount})
    tomorrow(box)
    rows, sums = read(pay, day)
    assert len(rows) == 4 and sums["手续费总金额"] == "0.00000"
    rows, _sums = read(pay, day, "/v3/bill/fundflowbill")
    assert rows[-1]["账户结余（元）"] == "0.00"


def test_when_bills_are_there(box, pay, day):
    path = "/v3/bill/tradebill"
    missing = (400, "NO_STATEMENT_EXIST")
    assert code_of(offer(pay, path, bill_date=day)) == missing
    tomorrow(box, 9, 59)
    assert code_of(offer(pay, path, bill_date=day)) == missing
    box.post("clock", advance=60)
    assert offer(pay, path, bill_date=day).status_code == 200
    assert code_of(offer(pay, path, bill_date="2020-02-02")) == missing
    box.post("clock", advance=93 * 86400)
    assert code_of(offer(pay, path, bill_date=day)) == missing


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"bill_date": "2026-02-30"},
        {"bill_date": "20260201"},
        {"bill_date": "2026-02-01", "bill_type": "EVERYTHING"},
        {"bill_date": "2026-02-01", "bill_type": ""},
    ],
)
def test_bad_parameters(pay, query):
    answer = offer(pay, "/v3/bill/tradebill", **query)
    assert code_of(answer) == (400, "PARAM_ERROR")
    assert answer.json()["detail"]["location"] == "query"


def test_download(box, pay, day):
    tomorrow(box)
    query = {"bill_date": day, "tar_type": "GZIP"}
    found = offer(pay, "/v3/bill/tradebill", **query).json()
    assert box.http.get(found["download_url"]).status_code == 401
    answer = fetch(pay, found["download_url"])
    assert "Wechatpay-Signature" not in answer.headers
    raw = gzip.decompress(answer.content)
    assert found["hash_type"] == "SHA1"
    assert found["hash_value"] == sha1(raw)
    assert code_of(fetch(pay, found["download_url"])) == (400, "INVALID_REQUEST")
    found = offer(pay, "/v3/bill/tradebill", **query).json()
    box.post("clock", advance=301)
    assert code_of(fetch(pay, found["download_url"])) == (400, "INVALID_REQUEST")


def test_ordered_differences(box, pay, day):
    tomorrow(box)
    one = {"bill_date": day, "out_trade_no": "ORDER-0001"}
    box.post(CHANGES, kind="other_amount", amount=999, **one)
    box.post(CHANGES, kind="other_fee", fee=7, **one)
    box.post(CHANGES, kind="missing_line", bill_date=day, out_refund_no="R2")
    extra = {"bill_date": day, "out_trade_no": "GHOST-1", "amount": 123}
    box.post(CHANGES, kind="extra_line", **extra)
    rows, sums = read(pay, day)
    assert [row["商户订单号"] for row in rows] == [
        "ORDER-0001",
        "ORDER-0002",
        "GHOST-1",
    ]
    assert rows[0]["应结订单金额"] == "9.99" and rows[0]["手续费"] == "0.07000"
    assert rows[2]["订单金额"] == "1.23" and sums["总交易单数"] == "3"
    box.post(CHANGES, kind="missing_line", bill="fundflowbill", **one)
    rows, _sums = read(pay, day, "/v3/bill/fundflowbill")
    assert len(rows) == 3
    assert len(box.get(CHANGES)) == 5
    assert box.control("DELETE", CHANGES) == {"cleared": 5}
    assert len(read(pay, day)[0]) == 3


def test_more_ordered_differences(box, pay, day):
    tomorrow(box)
    one = {"bill_date": day, "out_trade_no": "ORDER-0001"}
    back = {"bill_date": day, "out_trade_no": "ORDER-0002", "out_refund_no": "R2"}
    box.post(CHANGES, kind="other_settlement", amount=900, **one)
    box.post(CHANGES, kind="other_coupon", amount=5, **one)
    box.post(CHANGES, kind="other_state", state="FAIL", **back)
    box.post(CHANGES, kind="other_settlement", amount=3999, **back)
    ghost = {"bill_date": day, "out_trade_no": "GHOST-1", "out_refund_no": "GHOST-R"}
    box.post(CHANGES, kind="extra_line", amount=123, fee=-1, **ghost)
    (first, _second, refund, extra), sums = read(pay, day)
    assert first["订单金额"] == "10.00" and first["应结订单金额"] == "9.00"
    assert first["代金券金额"] == "0.05" and first["交易状态"] == "SUCCESS"
    assert refund["退款状态"] == "FAIL" and refund["退款金额"] == "39.99"
    assert refund["交易状态"] == "REFUND" and refund["申请退款金额"] == "50.00"
    assert extra["商户退款单号"] == "GHOST-R" and extra["商户订单号"] == "GHOST-1"
    assert extra["交易状态"] == "REFUND" and extra["申请退款金额"] == "1.23"
    assert extra["手续费"] == "-0.01000" and extra["订单金额"] == "0.00"
    assert sums["申请退款总金额"] == "51.23" and sums["总交易单数"] == "4"
    rows, _sums = read(pay, day, bill_type="REFUND")
    assert [row["商户退款单号"] for row in rows] == ["R2", "GHOST-R"]
    flow = {"bill": "fundflowbill", **ghost}
    box.post(CHANGES, kind="extra_line", amount=123, fee=-1, **flow)
    rows, _sums = read(pay, day, "/v3/bill/fundflowbill")
    assert rows[-1]["收支类型"] == "支出" and rows[-1]["收支金额（元）"] == "1.22"
    assert rows[-1]["业务凭证号"] == "GHOST-R"


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "other"},
        {"kind": "other_fee"},
        {"kind": "other_state"},
        {"kind": "other_state", "state": "FAIL", "bill": "fundflowbill"},
        {"kind": "other_coupon"},
        {"kind": "extra_line", "amount": "1"},
        {"kind": "extra_line", "fee": 1},
        {"bill_date": "today"},
        {"bill": "x"},
        {"colour": "red"},
        {"out_trade_no": ""},
    ],
)
def test_bad_differences(box, pay, wrong):
    good = {"kind": "missing_line", "bill_date": "2026-01-01", "out_trade_no": "A"}
    box.post(CHANGES, status=400, **{**good, **wrong})
