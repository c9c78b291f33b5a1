"""Runs in Odoo's shell: one trade bill of many lines, each of them ours.

Prints one JSON line: seconds of our import, seconds of a bare COPY of the same cells,
bytes of the file, and the peak of Python's memory in a second import.
"""

# ruff: noqa: F821
import datetime
import gzip
import io
import json
import time
import tracemalloc

LINES = SETTINGS["lines"]
merchant = env.ref("wechat_shop.merchant")
env = env(context={"allowed_company_ids": [merchant.company_id.id]})
day = datetime.date.today() - datetime.timedelta(days=2)
COLUMNS = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,"
    "交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,"
    "退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,"
    "申请退款金额,费率备注"
)

env.cr.execute(
    """
    INSERT INTO wechat_pay_transaction (
           kind, way, number, remote_no, merchant_id, company_id, currency_id, state,
           amount_fen, payer_total_fen, settlement_fen, refunded_fen, success_at,
           create_date)
    SELECT 'payment', 'codepay', 'bench' || lpad(n::text, 12, '0'),
           '42000' || lpad(n::text, 23, '0'), %(merchant)s, %(company)s, %(currency)s,
           'done', 500, 500, 500, 0, %(moment)s, %(moment)s
      FROM generate_series(1, %(lines)s) AS n
    """,
    {
        "merchant": merchant.id,
        "company": merchant.company_id.id,
        "currency": env.ref("base.CNY").id,
        "moment": datetime.datetime.combine(day, datetime.time(4)),
        "lines": LINES,
    },
)


def row(number):
    cells = (
        f"{day} 12:00:00",
        "wx8a1b2c3d4e5f6071",
        merchant.mchid,
        "0",
        "",
        f"42000{number:023d}",
        f"bench{number:012d}",
        "oBench",
        "MICROPAY",
        "SUCCESS",
        "OTHERS",
        "CNY",
        "5.00",
        "0.00",
        "0",
        "0",
        "0.00",
        "0.00",
        "",
        "",
        "冰红茶, 500ml",
        "",
        "0.03000",
        "0.60%",
        "5.00",
        "0.00",
        "",
    )
    return ",".join(f"`{cell}" for cell in cells)


yuan = f"{LINES * 5:.2f}"
summary = (LINES, yuan, "0.00", "0.00", f"{LINES * 0.03:.5f}", yuan, "0.00")
text = "\r\n".join(
    [
        COLUMNS,
        *map(row, range(1, LINES + 1)),
        "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额",
        ",".join(f"`{cell}" for cell in summary),
        "",
    ]
)
data = ("\ufeff" + text).encode()
packed = gzip.compress(data)
bills = env["wechat.pay.bill"]
bill = bills._get_bills(merchant, [day], ("trade",))

start = time.monotonic()
bills._import_file(bill, io.BytesIO(packed))
env.flush_all()
ours = time.monotonic() - start
assert bill.line_count == LINES, (bill.state, bill.line_count, bill.error)

columns = ", ".join(f"c{number} text" for number in range(27))
env.cr.execute(f"CREATE TEMP TABLE bench_line ({columns})")
start = time.monotonic()
cells = (line.replace("`", "").replace(", ", " ") for line in text.split("\r\n")[1:-3])
body = io.StringIO("\n".join(cells))
env.cr._obj.copy_expert("COPY bench_line FROM STDIN WITH CSV", body)
copy = time.monotonic() - start

tracemalloc.start()
bills._import_file(bill, io.BytesIO(packed))
env.flush_all()
peak = tracemalloc.get_traced_memory()[1]
differences = env["wechat.pay.difference"].search_count(
    [("merchant_id", "=", merchant.id)]
)
env.cr.rollback()
print(
    "RESULT "
    + json.dumps(
        {
            "ours": ours,
            "copy": copy,
            "bytes": len(data),
            "peak": peak,
            "differences": differences,
        }
    )
)
