import csv
import io
import itertools
from tempfile import TemporaryFile
from urllib.parse import quote

import xlsxwriter

from odoo import api, fields, http
from odoo.exceptions import AccessError
from odoo.http import Response, request
from odoo.modules.registry import Registry

from ..tools.code_file import COLUMNS

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_CSV = "text/csv;charset=utf-8"
_PAGE = 10_000
_BLOCK = 64 * 1024
# What spreadsheets take for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class CouponCodes(http.Controller):
    """Files of codes: empty ones to fill in, and those for printers."""

    @http.route("/wechat_coupon/codes/template.xlsx", auth="user", methods=["GET"])
    def wechat_codes_template(self):
        """Send an empty file with the columns of an import."""
        request.env["coupon.template"]._check_manager()
        chinese = 1 if (request.env.user.lang or "").startswith("zh") else 0
        file = TemporaryFile()
        book = xlsxwriter.Workbook(file, {"in_memory": False})
        sheet = book.add_worksheet()
        # Text, so that no code or phone number loses its zeros.
        text = book.add_format({"num_format": "@"})
        bold = book.add_format({"bold": True})
        sheet.set_column(0, len(COLUMNS) - 1, 24, text)
        for column, aliases in enumerate(COLUMNS.values()):
            title = aliases[2 * chinese if len(aliases) > 2 else chinese]
            sheet.write_string(0, column, title.capitalize(), bold)
        sheet.freeze_panes(1, 0)
        book.close()
        return _send(_blocks(file), "coupon-codes.xlsx", _XLSX)

    @http.route(
        "/wechat_coupon/codes/<int:batch_id>/problems.csv", auth="user", methods=["GET"]
    )
    def wechat_codes_problems(self, batch_id):
        """Send the rows of a file that were not taken, and why."""
        batch = _batch(batch_id)
        env = request.env
        labels = dict(
            env["coupon.code.problem"]._fields["problem"]._description_selection(env)
        )
        titles = [env._("Line"), env._("What Is Wrong"), env._("Found")]
        # At once: a download begins when the request's cursor is closed.
        rows = list(_problem_rows(batch, labels))
        return _send(_csv_blocks(titles, rows), "not-taken.csv", _CSV)

    @http.route(
        "/wechat_coupon/codes/<int:batch_id>/codes.<any(csv, xlsx):kind>",
        auth="user",
        methods=["GET"],
    )
    def wechat_codes_export(self, batch_id, kind):
        """Send the codes of an order, for a printer."""
        request.env["coupon.template"]._check_manager()
        batch = _batch(batch_id)
        env = request.env
        titles = [env._("Code"), env._("Valid From"), env._("Valid To")]
        rows = _code_rows(env.cr.dbname, batch)
        name = f"codes-{batch.id}.{kind}"
        if kind == "csv":
            return _send(_csv_blocks(titles, rows), name, _CSV)
        return _send(_blocks(_xlsx_file(titles, rows)), name, _XLSX)


def _batch(batch_id):
    """Return an order for codes that the user may see."""
    batch = request.env["coupon.code.batch"].browse(batch_id).exists()
    if not batch:
        raise AccessError(request.env._("This does not exist, or is not for you."))
    batch.check_access("read")
    return batch


def _send(blocks, name, kind):
    return Response(
        blocks,
        headers={
            "Content-Type": kind,
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
        direct_passthrough=True,
    )


def _code_rows(dbname, batch):
    """Yield code and dates, page by page, after the request's cursor is closed."""
    batch_id, user_id = batch.id, request.env.uid
    template = batch.template_id
    zone = template._zone()

    def rows():
        last = 0
        while True:
            with Registry(dbname).cursor() as cr:
                env = api.Environment(cr, user_id, {"tz": zone})
                cards = env["loyalty.card"]
                found = cards.search_fetch(
                    [("coupon_batch_id", "=", batch_id), ("id", ">", last)],
                    ["code", "wechat_valid_from", "wechat_valid_to"],
                    order="id",
                    limit=_PAGE,
                )
                if not found:
                    return
                last = found[-1].id
                page = [
                    (
                        card.code,
                        _day(cards, card.wechat_valid_from),
                        _day(cards, card.wechat_valid_to),
                    )
                    for card in found
                ]
            yield from page

    return rows()


def _day(record, moment):
    if not moment:
        return ""
    return fields.Datetime.context_timestamp(record, moment).strftime("%Y-%m-%d")


def _problem_rows(batch, labels):
    problems = batch.problem_ids.read(["line", "problem", "value"])
    for row in problems:
        yield row["line"], labels[row["problem"]], row["value"] or ""


def _csv_blocks(titles, rows):
    """Yield a CSV file that Excel opens as it is, block by block."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write("\ufeff")
    writer.writerow(titles)
    for row in rows:
        writer.writerow([_harmless(cell) for cell in row])
        if buffer.tell() > _BLOCK:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _harmless(cell):
    """Keep a spreadsheet from calculating what somebody has written."""
    text = str(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _xlsx_file(titles, rows):
    file = TemporaryFile()
    book = xlsxwriter.Workbook(file, {"constant_memory": True})
    sheet = book.add_worksheet()
    sheet.set_column(0, len(titles) - 1, 24)
    for number, row in enumerate(itertools.chain([titles], rows)):
        for column, cell in enumerate(row):
            sheet.write_string(number, column, str(cell))
    book.close()
    return file


def _blocks(file):
    """Yield a temporary file, and drop it."""
    with file:
        file.seek(0)
        while block := file.read(_BLOCK):
            yield block
