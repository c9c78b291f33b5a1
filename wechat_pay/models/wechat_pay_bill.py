import gzip
import hmac
import logging
import shutil
import tempfile
import time
from datetime import timedelta
from itertools import islice

from psycopg2 import OperationalError, sql

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tools import SQL

from odoo.addons.wechat_base.tools.columns import Fen
from odoo.addons.wechat_base.tools.exceptions import (
    WechatError,
    WechatRefused,
    WechatUnavailable,
)
from odoo.addons.wechat_base.tools.money import from_fen
from odoo.addons.wechat_base.tools.text import storable

from ..tools import bill as bill_file
from ..tools.rights import check_manager

_logger = logging.getLogger(__name__)

#: days that the daily job looks back for bills that are not in yet
LOOK_BACK = 7
#: days that one order by hand may span; WeChat keeps three months
MAX_DAYS = 90
#: lines written at once, and between two reports of the progress
BATCH = 5000
PROGRESS = 10000
#: attempts of a bill that is not ready or a line that is dead, and seconds between
ATTEMPTS = 16
PAUSE = 1800
#: of the day after (Beijing); WeChat says after ten
READY = timedelta(hours=10, minutes=15)

#: statement lines made at once, and seconds of one job (workers end at 120)
CHUNK = 200
SECONDS = 40.0

_TABLES = {"trade": "wechat_pay_bill_line", "fundflow": "wechat_pay_fund_line"}
_COLUMNS = {
    "trade": bill_file.TradeLine._fields,
    "fundflow": bill_file.FlowLine._fields,
}


class WechatPayBill(models.Model):
    """The trade bill or the fund flow of one merchant and one day (Beijing)."""

    _name = "wechat.pay.bill"
    _description = "WeChat Pay Bill"
    _order = "date desc, bill_type desc, id desc"

    merchant_id = fields.Many2one(
        "wechat.merchant",
        required=True,
        readonly=True,
        index=True,
        ondelete="restrict",
    )
    company_id = fields.Many2one(
        related="merchant_id.company_id", store=True, index=True
    )
    # Stored: without that the amounts could not be summed up.
    currency_id = fields.Many2one(
        "res.currency",
        required=True,
        readonly=True,
        default=lambda self: self._yuan(),
    )
    date = fields.Date(
        string="Day", required=True, readonly=True, help="In Beijing time."
    )
    bill_type = fields.Selection(
        [("trade", "Trades"), ("fundflow", "Fund flow")],
        string="Bill",
        required=True,
        readonly=True,
    )
    covers = fields.Selection(
        [
            ("all", "Payments and refunds"),
            ("success", "Payments only"),
            ("refund", "Refunds only"),
        ],
        required=True,
        readonly=True,
        default="all",
    )
    state = fields.Selection(
        [
            ("waiting", "Waiting"),
            ("done", "Read"),
            ("none", "Nothing happened"),
            ("failed", "Failed"),
        ],
        required=True,
        readonly=True,
        default="waiting",
    )
    source = fields.Selection(
        [("fetch", "WeChat"), ("file", "File")], readonly=True, default="fetch"
    )
    error = fields.Char(readonly=True)
    attempts = fields.Integer(readonly=True)
    fetched_at = fields.Datetime(string="Read at", readonly=True)
    sha1 = fields.Char(string="SHA-1", readonly=True)
    size = fields.Integer(string="Bytes", readonly=True)
    attachment_id = fields.Many2one("ir.attachment", string="File", readonly=True)
    progress_count = fields.Integer(
        string="Lines so far", compute="_compute_progress_count"
    )

    line_count = fields.Integer(string="Lines", readonly=True)
    payment_count = fields.Integer(string="Payments", readonly=True)
    refund_count = fields.Integer(string="Refunds", readonly=True)
    amount_fen = Fen(string="Orders (fen)", readonly=True)
    settlement_fen = Fen(string="Settlement (fen)", readonly=True)
    refund_fen = Fen(string="Refunded (fen)", readonly=True)
    refund_settlement_fen = Fen(string="Settlement of refunds (fen)", readonly=True)
    fee_fen = Fen(string="Fees (fen)", readonly=True)
    in_fen = Fen(string="In (fen)", readonly=True)
    out_fen = Fen(string="Out (fen)", readonly=True)
    balance_start_fen = Fen(string="Balance before (fen)", readonly=True)
    balance_end_fen = Fen(string="Balance after (fen)", readonly=True)
    # Stored for the reports.
    amount = fields.Monetary(string="Orders", compute="_compute_amounts", store=True)
    settlement_amount = fields.Monetary(
        string="Settlement",
        compute="_compute_amounts",
        store=True,
        help="What the merchant receives for the orders: less coupons without funding.",
    )
    refund_amount = fields.Monetary(
        string="Refunded",
        compute="_compute_amounts",
        store=True,
        help="What the merchant gives back.",
    )
    fee_amount = fields.Monetary(string="Fees", compute="_compute_amounts", store=True)
    in_amount = fields.Monetary(string="In", compute="_compute_amounts", store=True)
    out_amount = fields.Monetary(string="Out", compute="_compute_amounts", store=True)
    balance_end_amount = fields.Monetary(
        string="Balance",
        compute="_compute_amounts",
        store=True,
        aggregator=None,
        help="What was in the merchant's account in the end.",
    )
    difference_ids = fields.One2many("wechat.pay.difference", "bill_id")
    open_difference_count = fields.Integer(
        string="Differences", compute="_compute_open_difference_count"
    )
    statement_id = fields.Many2one(
        "account.bank.statement",
        string="Bank statement",
        readonly=True,
        ondelete="set null",
        index="btree_not_null",
    )
    statement_count = fields.Integer(
        string="In the bank statement", compute="_compute_statement_count"
    )

    _bill_uniq = models.UniqueIndex(
        "(merchant_id, date, bill_type)", "There is one bill a day."
    )

    # === COMPUTE METHODS === #

    @api.depends("merchant_id", "date", "bill_type")
    def _compute_display_name(self):
        kinds = dict(self._fields["bill_type"]._description_selection(self.env))
        for bill in self:
            kind = kinds.get(bill.bill_type, "")
            bill.display_name = f"{bill.merchant_id.name} {bill.date} {kind}"

    @api.depends(
        "amount_fen",
        "settlement_fen",
        "refund_settlement_fen",
        "fee_fen",
        "in_fen",
        "out_fen",
        "balance_end_fen",
    )
    def _compute_amounts(self):
        for bill in self:
            bill.amount = from_fen(bill.amount_fen)
            bill.settlement_amount = from_fen(bill.settlement_fen)
            bill.refund_amount = from_fen(bill.refund_settlement_fen)
            bill.fee_amount = from_fen(bill.fee_fen)
            bill.in_amount = from_fen(bill.in_fen)
            bill.out_amount = from_fen(bill.out_fen)
            bill.balance_end_amount = from_fen(bill.balance_end_fen)

    def _compute_progress_count(self):
        # sudo: a number, of a bill that the user sees.
        rows_sudo = self.env["wechat.pay.bill.progress"].sudo()
        rows_sudo = rows_sudo.search([("bill_id", "in", self.ids)])
        counts = {row.bill_id.id: row.line_count for row in rows_sudo}
        for bill in self:
            waits = bill.state == "waiting"
            bill.progress_count = counts.get(bill.id, 0) if waits else bill.line_count

    @api.depends("difference_ids.state")
    def _compute_open_difference_count(self):
        groups = self.env["wechat.pay.difference"]._read_group(
            [("bill_id", "in", self.ids), ("state", "=", "open")],
            ["bill_id"],
            ["__count"],
        )
        counts = {bill.id: count for bill, count in groups}
        for bill in self:
            bill.open_difference_count = counts.get(bill.id, 0)

    def _compute_statement_count(self):
        groups = self.env["wechat.pay.fund.line"]._read_group(
            [("bill_id", "in", self.ids), ("statement_line_id", "!=", False)],
            ["bill_id"],
            ["__count"],
        )
        counts = {bill.id: count for bill, count in groups}
        for bill in self:
            bill.statement_count = counts.get(bill.id, 0)

    @api.model
    def _yuan(self):
        """Return the currency of all bills."""
        # sudo: also for those who see no currencies.
        return self.env.ref("base.CNY").sudo()

    # === ACTION METHODS === #

    def action_fetch(self):
        """Fetch the bills again."""
        check_manager(self.env)
        self.check_access("read")
        # sudo: bills are written by the add-on only.
        self.sudo()._enqueue()
        return True

    def action_compare(self):
        """Compare the bills with our transactions again."""
        check_manager(self.env)
        self.check_access("read")
        # sudo: see above.
        self.sudo()._renew()
        return True

    def action_make_statement(self):
        """Make the bank statement lines that are not there yet."""
        check_manager(self.env)
        self.check_access("read")
        for bill in self:
            if bill.bill_type != "fundflow" or bill.state != "done":
                raise UserError(self.env._("Choose a fund flow that was read."))
            # sudo: see above.
            bill.sudo()._check_journal()
            bill.sudo()._enqueue_statement()
        return True

    def action_view_lines(self):
        """Open the lines of the bill."""
        self.ensure_one()
        name = "wechat_pay.wechat_pay_bill_line_action"
        if self.bill_type == "fundflow":
            name = "wechat_pay.wechat_pay_fund_line_action"
        return self._open(name)

    def action_view_differences(self):
        """Open the worklist of the bill."""
        self.ensure_one()
        return self._open("wechat_pay.wechat_pay_difference_action")

    def action_view_statement(self):
        """Open the bank statement lines of the bill."""
        self.ensure_one()
        journal = self.statement_id.journal_id or self.merchant_id.journal_id
        day = [("journal_id", "=", journal.id), ("date", "=", self.date)]
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Bank Statement Lines"),
            "res_model": "account.bank.statement.line",
            "view_mode": "list",
            "views": [
                (
                    self.env.ref("wechat_pay.account_bank_statement_line_view_list").id,
                    "list",
                )
            ],
            "domain": day,
        }

    def _open(self, name):
        action = self.env["ir.actions.act_window"]._for_xml_id(name)
        return {**action, "domain": [("bill_id", "=", self.id)], "context": {}}

    # === BUSINESS METHODS - FETCHING === #

    @api.model
    def _today(self):
        """Return today's date in Beijing."""
        return bill_file.beijing_day(fields.Datetime.now())

    @api.model
    def _order_bills(self, merchant, days, types=("trade", "fundflow")):
        """Have bills fetched by jobs.

        :param merchant: one merchant
        :param days: Beijing dates, all before today
        :return: the bills
        """
        bills = self._get_bills(merchant, days, types)
        bills._enqueue()
        return bills

    @api.model
    def _get_bills(self, merchant, days, types):
        """Return the bills of days, made where they do not exist."""
        bills = self.search(
            [
                ("merchant_id", "=", merchant.id),
                ("date", "in", list(days)),
                ("bill_type", "in", list(types)),
            ]
        )
        known = {(bill.date, bill.bill_type) for bill in bills}
        return bills + self.create(
            [
                {"merchant_id": merchant.id, "date": day, "bill_type": kind}
                for day in days
                for kind in types
                if (day, kind) not in known
            ]
        )

    def _enqueue(self):
        """Have these bills fetched, each by a job of its own."""
        for bill in self:
            bill._expect()
            bill._enqueue_fetch(bill._seconds_until_ready())

    def _expect(self):
        """Something new will come for this bill; what was read stays until then."""
        self.attempts = 0
        if self.state not in ("done", "none"):
            self.write({"state": "waiting", "error": False})

    def _seconds_until_ready(self):
        ready = bill_file.day_bounds(self.date)[1] + READY
        return max(0, int((ready - fields.Datetime.now()).total_seconds()))

    def _enqueue_fetch(self, seconds=0):
        self.with_delay(
            identity_key=f"wechat.pay.bill:fetch:{self.id}",
            eta=seconds or None,
            description=self.env._("Fetch the bill %s", self.display_name),
        )._fetch()

    @api.model
    def _cron_fetch_bills(self):
        """Have the last days' bills fetched: a job for each merchant.

        So one that fails does not stop the others; queue_job keeps its error and the
        number of its attempts.
        """
        for merchant in self.env["wechat.merchant"].search(
            [("environment", "!=", "disabled"), ("kind", "=", "merchant")]
        ):
            self.with_delay(
                identity_key=f"wechat.pay.bill:order:{merchant.id}",
                description=self.env._("Order the bills of %s", merchant.name),
            )._order_missing(merchant)

    @api.model
    def _order_missing(self, merchant):
        """Job: see to what the last days have not brought yet."""
        today = self._today()
        first = bill_file.beijing_day(merchant.create_date)
        days = [today - timedelta(days=back) for back in range(1, LOOK_BACK + 1)]
        bills = self._get_bills(merchant, [d for d in days if d >= first], _TABLES)
        bills.filtered(lambda bill: bill._is_wanted())._enqueue()
        if merchant.journal_id:
            bills.filtered(lambda bill: bill._is_unbooked())._enqueue_statement()
        # Whose neighbours did not come in time (see `_missing_window`).
        left = [today - timedelta(days=LOOK_BACK + back) for back in (1, 2)]
        for bill in self.search(
            [
                ("merchant_id", "=", merchant.id),
                ("date", "in", left),
                ("bill_type", "=", "trade"),
                ("state", "in", ("done", "none")),
            ]
        ):
            bill._enqueue_compare()
        merchant._enqueue_reconcile()

    def _enqueue_compare(self):
        self.with_delay(
            identity_key=f"wechat.pay.bill:compare:{self.id}",
            description=self.env._("Compare the bill %s", self.display_name),
        )._compare()

    def _is_unbooked(self):
        flow = self.bill_type == "fundflow" and self.state == "done"
        return flow and not self.statement_id

    def _is_wanted(self):
        """Whether the daily job should ask for this bill."""
        if self.state == "none":
            # It may have come too early, if we know of trades.
            return bool(self.open_difference_count)
        # A file that somebody has brought is compared with WeChat's own.
        return self.state != "done" or self.source == "file"

    def _fetch(self):
        """Job: fetch one bill and read it."""
        self.ensure_one()
        if not self.exists():
            return self.env._("The bill was deleted.")
        if self.merchant_id.environment == "disabled":
            return self._fail(self.env._("The merchant is disabled."))
        return self._attempt(self._fetch_now)

    def _attempt(self, read):
        """Try to read the bill; what goes wrong is kept on it.

        :param read: function that reads it
        :return: what came of it, for the job
        """
        self.attempts += 1
        try:
            with self.env.cr.savepoint():
                return read()
        except WechatError as error:
            return self._handle_refusal(error)
        except bill_file.BillError as error:
            return self._fail(str(self._explain(error)))
        except UserError as error:
            return self._fail(str(error))
        except OperationalError:
            # Another transaction was in the way: queue_job repeats it.
            raise
        except Exception as error:
            # The accountant sees it on the bill; tomorrow it is tried again.
            _logger.exception("The bill %s could not be read", self.display_name)
            return self._fail(storable(f"{type(error).__name__}: {error}")[:300])

    def _fetch_now(self):
        offer = self._ask()
        if self.state == "done" and offer.get("hash_value") == self.sha1:
            self.write({"error": False, "source": "fetch"})
            self._after_reading()
            return self.env._("Nothing has changed.")
        with tempfile.TemporaryFile() as file:
            client = self.merchant_id._get_pay_client()
            client.download(offer.get("download_url"), file, bill_file.MAX_BYTES)
            file.seek(0)
            self._read_file(file, offer)
        return self.env._("%s lines", self.line_count)

    def _ask(self):
        """Ask for the bill.

        WeChat docs: GET /v3/bill/tradebill, GET /v3/bill/fundflowbill

        :return: hash_type, hash_value and download_url
        """
        params = {"bill_date": self.date.isoformat(), "tar_type": "GZIP"}
        if self.bill_type == "trade":
            path, params["bill_type"] = "/v3/bill/tradebill", "ALL"
        else:
            path, params["account_type"] = "/v3/bill/fundflowbill", "BASIC"
        client = self.merchant_id._get_pay_client()
        return client.request("GET", path, dict(sorted(params.items()))).data

    def _read_file(self, file, offer):
        if str(offer.get("hash_type") or "").upper() != "SHA1":
            raise UserError(self.env._("WeChat offers no SHA-1 of the bill."))
        self._import_file(self, file, sha1=str(offer.get("hash_value") or ""))

    def _handle_refusal(self, error):
        if isinstance(error, WechatRefused) and error.code == "NO_STATEMENT_EXIST":
            return self._no_statement()
        again = isinstance(error, WechatUnavailable)
        if again or error.code == "STATEMENT_CREATING":
            if self.attempts < ATTEMPTS:
                self.error = str(error)
                self._enqueue_fetch(int(error.retry_after or 0) or PAUSE)
                return self.env._("Not yet: %s", error)
        return self._fail(str(error))

    def _no_statement(self):
        """There were no trades, says WeChat; what do we say?"""
        if self.state == "done":
            return self.env._("WeChat does not offer this bill any more.")
        self.write(
            {"state": "none", "error": False, "fetched_at": fields.Datetime.now()}
        )
        self._after_reading()
        return self.env._("No trades on this day.")

    def _fail(self, message):
        """Keep why it did not work; a bill that was read stays read."""
        vals = {"error": message}
        if self.state not in ("done", "none"):
            vals["state"] = "failed"
        self.write(vals)
        self._wake_statement()
        return message

    # === BUSINESS METHODS - READING === #

    @api.model
    def _import_file(self, bill, fileobj, sha1=None, source="fetch"):
        """Read a bill's file, once: what it says replaces what was there.

        :param bill: an empty or an older bill of the same day and type
        :param fileobj: binary file, plain or GZIP, at its beginning
        :param str sha1: of the uncompressed file, if it must be that one
        :raises UserError: if the file is damaged or not this bill's
        """
        try:
            with self.env.cr.savepoint():
                reader = bill_file.BillReader(fileobj)
                if reader.kind != bill.bill_type:
                    raise bill_file.BillError("other_type")
                if bill._is_booked():
                    bill._check_unchanged(reader, sha1)
                else:
                    bill._replace_lines(reader, sha1)
        except bill_file.BillError as error:
            raise bill._explain(error) from None
        bill._keep_file(fileobj)
        bill.write(
            {
                "state": "done",
                "error": False,
                "source": source,
                "fetched_at": fields.Datetime.now(),
                "sha1": reader.sha1,
                "size": reader.size,
            }
        )
        bill._after_reading()

    def _is_booked(self):
        """Whether lines of this bill are in the bank statement."""
        if self.bill_type != "fundflow":
            return False
        booked = [("bill_id", "=", self.id), ("statement_line_id", "!=", False)]
        return bool(self.env["wechat.pay.fund.line"].search_count(booked, limit=1))

    def _check_unchanged(self, reader, sha1):
        """What is in the bank statement is not changed any more."""
        for _line in reader:
            pass
        self._check_hash(reader, sha1)
        sums = reader.sums
        said = (sums.get("count", 0), sums.get("in_fen", 0), sums.get("out_fen", 0))
        if said != (self.line_count, self.in_fen, self.out_fen):
            raise bill_file.BillError("booked")

    def _check_hash(self, reader, sha1):
        if sha1 is not None and not hmac.compare_digest(
            reader.sha1.encode(), sha1.strip().lower().encode()
        ):
            raise bill_file.BillError("hash")

    def _replace_lines(self, reader, sha1):
        table = SQL.identifier(_TABLES[self.bill_type])
        covered = SQL()
        if reader.covers != "all":
            kind = "payment" if reader.covers == "success" else "refund"
            covered = SQL("AND kind = %s", kind)
        self.env.flush_all()
        self.env.cr.execute(
            SQL("DELETE FROM %s WHERE bill_id = %s %s", table, self.id, covered)
        )
        self._insert_lines(reader)
        self._check_hash(reader, sha1)
        self._set_covers(reader.covers)
        self.env.invalidate_all()
        self.write(self._count_lines(reader))

    def _insert_lines(self, reader):
        """Write the lines in bulk.

        Plain SQL: a record of the ORM costs about a hundred times as much, and of
        these lines nothing is computed, tracked or checked.
        """
        head = {
            "bill_id": self.id,
            "merchant_id": self.merchant_id.id,
            "company_id": self.company_id.id,
            "currency_id": self.currency_id.id,
        }
        columns = [*head, *_COLUMNS[self.bill_type]]
        query = sql.SQL("INSERT INTO {} ({}) VALUES %s").format(
            sql.Identifier(_TABLES[self.bill_type]),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
        )
        head = tuple(head.values())
        progress, count, told = self.env["wechat.pay.bill.progress"], 0, 0
        lines = iter(reader)
        while batch := list(islice(lines, BATCH)):
            self._check_merchant(batch)
            self.env.cr.execute_values(
                query, [head + line for line in batch], page_size=1000
            )
            count += len(batch)
            if count - told >= PROGRESS:
                progress._tell(self.id, count)
                told = count

    def _check_merchant(self, lines):
        if self.bill_type == "fundflow":
            return
        mchid = self.merchant_id.mchid
        for line in lines:
            if mchid not in (line.mchid, line.sub_mchid):
                raise bill_file.BillError("merchant", found=line.mchid, mchid=mchid)

    def _set_covers(self, covers):
        """Files of payments and of refunds make a whole bill together."""
        if self.state == "done" and self.covers != covers:
            covers = "all"
        self.covers = covers

    def _count_lines(self, reader):
        """Return the totals of the bill's lines."""
        if self.bill_type == "fundflow":
            sums = reader.sums
            names = ("in_fen", "out_fen", "balance_start_fen", "balance_end_fen")
            return {
                "line_count": sums.get("count", 0),
                **{name: sums.get(name, 0) for name in names},
            }
        self.env.cr.execute(
            SQL(
                """
                SELECT count(*) AS line_count,
                       count(*) FILTER (WHERE kind = 'payment') AS payment_count,
                       count(*) FILTER (WHERE kind = 'refund') AS refund_count,
                       sum(amount_fen) FILTER (WHERE kind = 'payment') AS amount_fen,
                       sum(settlement_fen) FILTER (WHERE kind = 'payment')
                           AS settlement_fen,
                       sum(amount_fen) FILTER (WHERE kind = 'refund') AS refund_fen,
                       sum(settlement_fen) FILTER (WHERE kind = 'refund')
                           AS refund_settlement_fen,
                       sum(fee_fen) AS fee_fen
                  FROM wechat_pay_bill_line
                 WHERE bill_id = %s
                """,
                self.id,
            )
        )
        [row] = self.env.cr.dictfetchall()
        return {name: int(value or 0) for name, value in row.items()}

    def _keep_file(self, fileobj):
        """Keep the file, compressed, for whoever wants to look."""
        fileobj.seek(0)
        zipped = fileobj.read(2) == b"\x1f\x8b"
        fileobj.seek(0)
        with tempfile.TemporaryFile() as target:
            if zipped:
                shutil.copyfileobj(fileobj, target)
            else:
                with gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as packed:
                    shutil.copyfileobj(fileobj, packed)
            target.seek(0)
            content = target.read()
        self.attachment_id.unlink()
        self.attachment_id = self.env["ir.attachment"].create(
            {
                "name": f"{self.merchant_id.mchid}-{self.date}-{self.bill_type}.csv.gz",
                "raw": content,
                "mimetype": "application/gzip",
                "res_model": self._name,
                "res_id": self.id,
            }
        )

    def _explain(self, error):
        """Return the sentence for what is wrong with a file, as an exception."""
        values = {
            "line": error.values.get("line", "?"),
            "text": str(error.values.get("text", ""))[:80],
            "names": error.values.get("names", ""),
            "name": error.values.get("name", ""),
            "found": str(error.values.get("found", ""))[:40],
            "mchid": error.values.get("mchid", ""),
            "megabytes": error.values.get("megabytes", ""),
        }
        sentences = {
            "no_bill": self.env._("This file is no bill of WeChat Pay."),
            "other_type": self.env._("This file is a bill of the other type."),
            "columns": self.env._("The bill lacks columns: %(names)s", **values),
            "cut_off": self.env._("The file is not complete: its sums are missing."),
            "gzip": self.env._("The file is damaged: it cannot be unpacked."),
            "encoding": self.env._("The file is damaged: it is not UTF-8."),
            "size": self.env._("The bill is larger than %(megabytes)s MB.", **values),
            "cells": self.env._(
                "Line %(line)s of the bill cannot be understood.", **values
            ),
            "numbers": self.env._(
                "Line %(line)s of the bill lacks its numbers.", **values
            ),
            "amount": self.env._(
                "Line %(line)s: “%(text)s” is no amount in yuan.", **values
            ),
            "time": self.env._("Line %(line)s: “%(text)s” is no time.", **values),
            "direction": self.env._(
                "Line %(line)s: neither in nor out: “%(text)s”", **values
            ),
            "sum": self.env._(
                "The bill does not add up: %(name)s is not %(text)s. Fetch it again.",
                **values,
            ),
            "hash": self.env._(
                "The file is not the one that WeChat has signed (SHA-1). It was not "
                "read."
            ),
            "merchant": self.env._(
                "The bill belongs to merchant %(found)s, not to %(mchid)s.", **values
            ),
            "days": self.env._(
                "The file holds more than one day. Use one file for each day."
            ),
            "empty": self.env._("The file holds no lines."),
            "today": self.env._(
                "The day of this file is not over in Beijing. Its bill is complete on "
                "the next day."
            ),
            "booked": self.env._(
                "WeChat's fund flow has changed since it was put into the bank "
                "statement. Delete its statement lines first."
            ),
        }
        return UserError(sentences[error.code])

    def _after_reading(self):
        """Compare, and go on with the bank statement.

        No ANALYZE here, although the table may just have grown by a day: its lock
        would make the next bill wait for this one's commit. The comparison's plans go
        by index whatever PostgreSQL believes.
        """
        moves = self.bill_type == "fundflow" and self.state == "done"
        if moves:
            self._link_fund_lines()
        elif self.bill_type == "trade":
            # A reversal's number stands in the trades only.
            for flow in self._beside("fundflow").filtered(lambda b: b.state == "done"):
                flow._link_fund_lines()
        self._compare_around()
        if moves and self.merchant_id.journal_id:
            self._enqueue_statement()
        self._wake_statement()

    # === BUSINESS METHODS - BANK STATEMENT === #

    def _check_journal(self):
        journal = self.merchant_id.journal_id
        if not journal:
            raise UserError(self.env._("Choose a journal on the merchant first."))
        currency = journal.currency_id or journal.company_id.currency_id
        if currency != self._yuan():
            raise UserError(
                self.env._(
                    "The fund flow is in yuan; the journal “%s” is not.", journal.name
                )
            )

    def _enqueue_statement(self, identity="statement"):
        for bill in self:
            bill.with_delay(
                identity_key=f"wechat.pay.bill:{identity}:{bill.id}",
                description=self.env._("Bank statement of %s", bill.display_name),
            )._make_statement()

    def _wake_statement(self):
        """The trades are known, or will not be: the fund flow need not wait for them.

        Under an identity of its own: a job that waits already may start before this
        is committed.
        """
        if self.bill_type == "trade" and self.merchant_id.journal_id:
            flow = self._beside("fundflow")
            flow.filtered(lambda bill: bill._is_unbooked())._enqueue_statement(
                "statement_woken"
            )

    def _beside(self, bill_type):
        """Return the bill of the other type of the same day, if there is one."""
        return self.search(
            [
                ("merchant_id", "=", self.merchant_id.id),
                ("date", "=", self.date),
                ("bill_type", "=", bill_type),
            ]
        )

    def _make_statement(self):
        """Job: make one bank statement line of each movement, once.

        A long bill is made in several jobs. The fund line's link to its statement
        line is what keeps a second run from adding anything.
        """
        self.ensure_one()
        if not self.exists() or self.state != "done":
            return self.env._("There is nothing to do.")
        if self._beside("trade").state == "waiting":
            # It says what refunds take, and of which payment a reversal is.
            return self.env._("The trades of the day come first.")
        self._check_journal()
        self._link_fund_lines()
        deadline = time.monotonic() + SECONDS
        while lines := self._lines_to_book():
            lines._book()
            if time.monotonic() > deadline and self._lines_to_book():
                self._enqueue_statement()
                return self.env._("To be continued.")
        self._close_statement()
        return self.env._("%s lines", self.line_count)

    def _lines_to_book(self):
        return self.env["wechat.pay.fund.line"].search(
            [("bill_id", "=", self.id), ("statement_line_id", "=", False)],
            order="line_no",
            limit=CHUNK,
        )

    def _close_statement(self):
        """Tie the lines together with the balances that the bill states."""
        free = self._loose_lines()
        if not free or self.statement_id:
            free.statement_id = self.statement_id
            return
        self.statement_id = self.env["account.bank.statement"].create(
            {
                "name": self.env._(
                    "WeChat Pay %(mchid)s %(date)s",
                    mchid=self.merchant_id.mchid,
                    date=self.date,
                ),
                "line_ids": [Command.set(free.ids)],
                "balance_start": from_fen(self.balance_start_fen),
                "balance_end_real": from_fen(self.balance_end_fen),
            }
        )

    def _loose_lines(self):
        """Return this bill's lines in the journal that are in no statement yet."""
        lines = self.env["account.bank.statement.line"]
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                SELECT s.id
                  FROM wechat_pay_fund_line AS f
                  JOIN account_bank_statement_line AS s ON s.id = f.statement_line_id
                 WHERE f.bill_id = %s AND s.journal_id = %s AND s.statement_id IS NULL
                """,
                self.id,
                self.merchant_id.journal_id.id,
            )
        )
        return lines.browse(row[0] for row in self.env.cr.fetchall())
