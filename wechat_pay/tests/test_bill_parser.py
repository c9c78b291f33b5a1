import gzip
import io
import tracemalloc
from datetime import date, datetime

from odoo.tests import BaseCase, tagged

from ..tools.bill import (
    BillError,
    BillReader,
    beijing_day,
    expected_fee,
    fee_to_fen,
    to_utc,
    yuan_to_fen,
)

ALL = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,"
    "交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,"
    "商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
).split(",")
SUCCESS = [
    name for name in ALL if "退款" not in name or name in ("订单金额", "费率备注")
]
REFUND = [*ALL[:14], "退款申请时间", "退款成功时间", *ALL[14:]]
SUMS = (
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,"
    "订单总金额,申请退款总金额"
)
FLOW = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,"
    "收支金额（元）,账户结余（元）,资金变更提交申请人,备注,业务凭证号"
).split(",")
FLOW_SUMS = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"


def payment(number="A1", **change):
    return {
        "交易时间": "2026-02-01 12:00:00",
        "公众账号ID": "wx1",
        "商户号": "1900000001",
        "特约商户号": "0",
        "设备号": "",
        "微信订单号": f"42{number}",
        "商户订单号": number,
        "用户标识": "oX",
        "交易类型": "NATIVE",
        "交易状态": "SUCCESS",
        "付款银行": "OTHERS",
        "货币种类": "CNY",
        "应结订单金额": "10.00",
        "代金券金额": "0.00",
        "微信退款单号": "0",
        "商户退款单号": "0",
        "退款金额": "0.00",
        "充值券退款金额": "0.00",
        "退款类型": "",
        "退款状态": "",
        "商品名称": "咖啡",
        "商户数据包": "",
        "手续费": "0.06000",
        "费率": "0.60%",
        "订单金额": "10.00",
        "申请退款金额": "0.00",
        "费率备注": "",
        "退款申请时间": "",
        "退款成功时间": "",
        **change,
    }


def refund(number="R1", **change):
    values = {
        "交易状态": "REFUND",
        "应结订单金额": "0.00",
        "微信退款单号": f"50{number}",
        "商户退款单号": number,
        "退款金额": "4.00",
        "退款状态": "SUCCESS",
        "手续费": "-0.02000",
        "订单金额": "0.00",
        "申请退款金额": "5.00",
        "退款成功时间": "2026-02-01 13:00:00",
        **change,
    }
    return payment(**values)


def move(amount="10.00", kind="收入", balance="10.00", **change):
    return {
        "记账时间": "2026-02-01 12:00:00",
        "微信支付业务单号": "42A1",
        "资金流水单号": "42A1",
        "业务名称": "交易",
        "业务类型": "交易",
        "收支类型": kind,
        "收支金额（元）": amount,
        "账户结余（元）": balance,
        "资金变更提交申请人": "system",
        "备注": "",
        "业务凭证号": "A1",
        **change,
    }


def text_of(names, rows, head, sums, end="\r\n"):
    lines = [",".join(names)]
    lines += [",".join(f"`{row.get(name, '')}" for name in names) for row in rows]
    lines += [head, ",".join(f"`{value}" for value in sums)]
    return end.join(lines) + end


def trade_file(rows, sums, names=ALL, **more):
    return ("\ufeff" + text_of(names, rows, SUMS, sums, **more)).encode()


def flow_file(rows, sums):
    return text_of(FLOW, rows, FLOW_SUMS, sums).encode()


ONE = ("1", "10.00", "0.00", "0.00", "0.06000", "10.00", "0.00")


@tagged("post_install", "-at_install")
class TestBillParser(BaseCase):
    def parse(self, content, **more):
        reader = BillReader(content, **more)
        return list(reader), reader

    def refused(self, content, code, **more):
        with self.assertRaises(BillError) as caught:
            self.parse(content, **more)
        self.assertEqual(caught.exception.code, code, caught.exception)
        return caught.exception

    # --- cells ---

    def test_yuan(self):
        for text, fen in (
            ("0.00", 0),
            ("0.01", 1),
            ("12.34", 1234),
            ("-0.05", -5),
            ("1.1", 110),
            ("7", 700),
            ("1.23000", 123),
            ("", 0),
            ("9999999999.99", 999999999999),
            # A float would make 1998 of it.
            ("19.99", 1999),
        ):
            with self.subTest(text):
                self.assertEqual(yuan_to_fen(text), fen)
        for text in (
            "1.005",
            "1e3",
            "１.00",
            "1_0.00",
            " 1.00",
            "1,00",
            "abc",
            "--1.00",
        ):
            with self.subTest(text), self.assertRaises(BillError):
                yuan_to_fen(text)

    def test_fees(self):
        self.assertEqual(fee_to_fen("0.04000"), 4)
        self.assertEqual(fee_to_fen("0.00499"), 0)
        self.assertEqual(fee_to_fen("0.00500"), 1)
        self.assertEqual(fee_to_fen("-0.00500"), -1)
        self.assertEqual(expected_fee("0.60%", 1000), 6)
        self.assertEqual(expected_fee("0.60%", 250), 2)  # 1.5
        self.assertEqual(expected_fee("0.60%", -250), -2)
        self.assertEqual(expected_fee("0.38%", 10000), 38)
        self.assertEqual(expected_fee("1%", 100), 1)
        self.assertIsNone(expected_fee("", 100))

    def test_times(self):
        moment = to_utc("2026-02-01 00:00:01")
        self.assertEqual(moment, datetime(2026, 1, 31, 16, 0, 1))
        self.assertEqual(beijing_day(moment), date(2026, 2, 1))
        for text in ("", "2026-02-30 00:00:00", "2026-02-01", "2026-02-01T00:00:00Z"):
            with self.subTest(text), self.assertRaises(BillError):
                to_utc(text)

    # --- files ---

    def test_trade_bill(self):
        rows = [payment(商品名称="咖啡, `大`", 商户数据包="till 1"), refund()]
        sums = ("2", "10.00", "4.00", "0.00", "0.04000", "10.00", "5.00")
        content = trade_file(rows, sums)
        lines, reader = self.parse(content)
        self.assertEqual((reader.kind, reader.covers), ("trade", "all"))
        self.assertEqual(reader.size, len(content))
        first, back = lines
        self.assertEqual((first.kind, first.number), ("payment", "A1"))
        self.assertEqual((first.product, first.attach), ("咖啡, `大`", "till 1"))
        self.assertEqual((first.amount_fen, first.fee_fen), (1000, 6))
        self.assertEqual((first.sub_mchid, first.fee_exact), ("", "0.06000"))
        self.assertEqual((back.kind, back.number), ("refund", "R1"))
        self.assertEqual((back.order_number, back.remote_no), ("A1", "50R1"))
        self.assertEqual((back.amount_fen, back.settlement_fen), (500, 400))
        self.assertEqual((back.fee_fen, back.fee_expected_fen), (-2, -2))
        self.assertEqual(back.trade_at, datetime(2026, 2, 1, 4))

    def test_kinds_of_trade_bill(self):
        lines, reader = self.parse(trade_file([payment()], ONE, names=SUCCESS))
        self.assertEqual((len(lines), reader.covers), (1, "success"))
        sums = ("1", "0.00", "4.00", "0.00", "-0.02000", "0.00", "5.00")
        lines, reader = self.parse(trade_file([refund()], sums, names=REFUND))
        self.assertEqual(reader.covers, "refund")
        self.assertEqual(lines[0].trade_at, datetime(2026, 2, 1, 5))

    def test_fund_flow(self):
        rows = [move(), move("0.06", "支出", "9.94", 备注="手续费, `今天")]
        lines, reader = self.parse(flow_file(rows, ("2", "1", "10.00", "1", "0.06")))
        self.assertEqual(reader.kind, "fundflow")
        self.assertEqual([line.amount_fen for line in lines], [1000, -6])
        self.assertEqual(lines[1].note, "手续费, `今天")
        self.assertEqual(reader.sums["balance_start_fen"], 0)
        self.assertEqual(reader.sums["balance_end_fen"], 994)

    def test_every_form_is_the_same_bill(self):
        content = trade_file([payment()], ONE)
        plain, reader = self.parse(content)
        for other in (
            gzip.compress(content),
            io.BytesIO(content),
            io.BytesIO(gzip.compress(content)),
        ):
            lines, again = self.parse(other)
            self.assertEqual(lines, plain)
            self.assertEqual((again.sha1, again.size), (reader.sha1, reader.size))
        bare = content.removeprefix(b"\xef\xbb\xbf")
        self.assertEqual(self.parse(bare)[0], plain)
        self.assertNotEqual(self.parse(bare)[1].sha1, reader.sha1)
        self.assertEqual(self.parse(trade_file([payment()], ONE, end="\n"))[0], plain)

    def test_other_columns_and_order(self):
        names = ["新的列", *reversed(ALL), "另一列"]
        lines, _reader = self.parse(trade_file([payment()], ONE, names=names))
        self.assertEqual(lines, self.parse(trade_file([payment()], ONE))[0])

    def test_names_with_separators_and_line_breaks(self):
        for name in ("大,`小", "a,`b,`c", "one\r\ntwo", "`", ",", ""):
            with self.subTest(name):
                lines, _r = self.parse(trade_file([payment(商品名称=name)], ONE))
                [line] = lines
                self.assertEqual(line.product, name.replace("\r\n", " "))
                self.assertEqual((line.fee_fen, line.rate), (6, "0.60%"))

    # --- what is refused ---

    def test_no_bill(self):
        for content in (b"", b"hello", b"a,b\r\n", b"\xff\xfe\x00", b"\x1f\x8b"):
            with self.subTest(content), self.assertRaises(BillError) as caught:
                self.parse(content)
            self.assertIn(caught.exception.code, ("no_bill", "gzip", "encoding"))

    def test_missing_columns_are_named(self):
        names = [name for name in ALL if name not in ("手续费", "订单金额")]
        error = self.refused(trade_file([payment()], ONE, names=names), "columns")
        self.assertEqual(error.values["names"], "手续费, 订单金额")

    def test_damaged(self):
        content = trade_file([payment(), payment("A2")], ONE)
        end = content.index(b"A2")
        self.refused(content[: end - 200], "cut_off")
        packed = gzip.compress(content)
        self.refused(packed[:-20], "gzip")
        self.refused(b"\x1f\x8b" + b"x" * 100, "gzip")
        self.refused(content.replace("咖啡".encode(), b"\xff\xff"), "encoding")
        error = self.refused(trade_file([payment(订单金额="x")], ONE), "amount")
        self.assertEqual(error.values, {"text": "x", "line": 1})
        self.refused(trade_file([payment(交易时间="x")], ONE), "time")
        self.refused(trade_file([payment(商户订单号="")], ONE), "numbers")
        self.refused(flow_file([move(kind="?")], "10000"), "direction")

    def test_sums(self):
        for place, wrong in enumerate(
            ("2", "10.01", "0.01", "0.01", "0.06001", "9.99", "1.00")
        ):
            sums = list(ONE)
            sums[place] = wrong
            with self.subTest(wrong):
                error = self.refused(trade_file([payment()], sums), "sum")
                self.assertEqual(error.values["name"], SUMS.split(",")[place])
        for sums in (
            ("2", "1", "10.00", "0", "0.00"),
            ("1", "1", "10.01", "0", "0.00"),
            ("1", "0", "10.00", "0", "0.00"),
            ("1", "1", "10.00", "0", "0.01"),
        ):
            with self.subTest(sums):
                self.refused(flow_file([move()], sums), "sum")

    def test_size(self):
        content = trade_file([payment()], ONE)
        self.parse(content, limit=len(content))
        self.refused(content, "size", limit=len(content) - 1)
        self.refused(gzip.compress(content), "size", limit=len(content) - 1)
        self.refused(trade_file([payment(商品名称="x" * 70000)], ONE), "cells")

    def test_gzip_bomb(self):
        """A small file of a gigabyte of zeros ends at the first long line."""
        block = gzip.compress(b"0" * (1 << 20))
        bomb = gzip.compress(",".join(ALL).encode() + b"\r\n`") + block * 1024
        self.assertLess(len(bomb), 2 << 20)
        tracemalloc.start()
        self.refused(bomb, "cells")
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        self.assertLess(peak, 4 << 20)

    def test_memory_does_not_grow(self):
        row = ",".join(f"`{value}" for value in payment(商品名称="x" * 100).values())
        names = ",".join(payment())

        def peak(count):
            parts = [names.encode(), *[row.encode()] * count]
            parts += [SUMS.encode(), f"`{count}".encode()]
            amount = f"{count * 10}.00"
            fee = f"{count * 6 // 100}.{count * 6 % 100:02d}000"
            parts[-1] += f",`{amount},`0.00,`0.00,`{fee},`{amount},`0.00".encode()
            file = io.BytesIO(gzip.compress(b"\r\n".join(parts) + b"\r\n"))
            del parts
            tracemalloc.start()
            self.assertEqual(sum(1 for _line in BillReader(file)), count)
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return found

        self.assertLess(peak(20000), peak(200) + (1 << 19))
