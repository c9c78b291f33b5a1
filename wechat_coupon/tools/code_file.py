"""Reading a file of coupon codes: CSV or XLSX, row by row, whoever made it.

Nothing here keeps more than a few rows, however long the file is.
"""

import csv
import io
import itertools
import re
import zipfile
from array import array
from codecs import getincrementaldecoder
from dataclasses import dataclass
from datetime import date, datetime
from tempfile import TemporaryFile
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from openpyxl.reader.excel import ExcelReader
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.xml.constants import SHARED_STRINGS
from openpyxl.xml.functions import iterparse

from . import codes

MAX_BYTES = 64 * 2**20
MAX_ROWS = 1_000_000
# Nobody means a day beyond these, and with a time zone it could not be stored.
_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)
MAX_CELL = 200
# What the parts of an XLSX file may unpack to, and the relation to their size.
MAX_UNPACKED = 300 * 2**20
MAX_RATIO = 200
_RATIO_FROM = 10 * 2**20

COLUMNS: dict[str, tuple[str, ...]] = {
    "code": ("code", "券码"),
    "customer": (
        "customer (phone or e-mail)",
        "customer",
        "顾客（手机号或邮箱）",
        "顾客",
    ),
    "valid_from": ("valid from", "生效日期"),
    "valid_to": ("valid to", "失效日期"),
}
# The fields of a scanner's text that Odoo's barcode service deletes.
_EATEN = re.compile("Alt|Shift|Control")
_CODE = re.compile(rf"[0-9A-Za-z][0-9A-Za-z_-]{{5,{codes.MAX_CODE_LENGTH - 1}}}", re.A)
# What WeChat Pay, Alipay and UnionPay show for a payment.
_PAYMENT = re.compile(r"1[0-5][0-9]{16}|(2[5-9]|30)[0-9]{14,22}|62[0-9]{17}", re.A)
_DAY = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?: 00:00(?::00)?)?", re.A
)
_FORMULA = ("=", "@", "\t")
_SNIFF = 64 * 1024


class CodeFileError(Exception):
    """The file as a whole is no good.

    :param str reason: key of the sentences of ``coupon.code.batch``
    """

    def __init__(self, reason, **values):
        super().__init__(reason)
        self.reason = reason
        self.values = values


@dataclass(slots=True)
class CodeRow:
    """One row: what it says, or what is wrong with it."""

    line: int
    code: str = ""
    customer: str = ""
    valid_from: date | None = None
    valid_to: date | None = None
    problem: str = ""
    value: str = ""


def read_rows(stream, name):
    """Read a file.

    :param stream: binary, seekable; stays open
    :param str name: of the file, for its ending
    :return: generator of :class:`CodeRow`; empty rows are left out
    :raises CodeFileError: while reading, if the file as a whole is no good
    """
    stream.seek(0, io.SEEK_END)
    size = stream.tell()
    stream.seek(0)
    if not size:
        raise CodeFileError("empty")
    if size > MAX_BYTES:
        raise CodeFileError("size", most=MAX_BYTES // 2**20)
    head = stream.read(4)
    stream.seek(0)
    if head == b"PK\x03\x04":
        cells = _read_xlsx(stream)
    elif head == b"\xd0\xcf\x11\xe0" or name.lower().endswith((".xls", ".xlsx")):
        raise CodeFileError("kind")
    else:
        cells = _read_csv(stream)
    return _parse(cells)


# === ROWS === #


def _parse(cells):
    """Turn rows of cells into rows of codes."""
    columns = None
    count = 0
    for line, row in cells:
        if not any(cell not in (None, "") for cell in row):
            continue
        if columns is None:
            columns = _header(row)
            continue
        count += 1
        if count > MAX_ROWS:
            raise CodeFileError("rows", most=MAX_ROWS)
        yield _row(line, row, columns)
    if columns is None:
        raise CodeFileError("empty")
    if not count:
        raise CodeFileError("no_rows")


def _header(row):
    """Return which column is what."""
    known = {alias: name for name, aliases in COLUMNS.items() for alias in aliases}
    columns = {}
    for index, cell in enumerate(row):
        title = str(cell).strip().lower() if cell is not None else ""
        if not title:
            continue
        name = known.get(title)
        if not name or name in columns.values():
            raise CodeFileError("column", column=title[:40])
        columns[index] = name
    if "code" not in columns.values():
        raise CodeFileError("no_code")
    return columns


def _row(line, row, columns):
    found = CodeRow(line=line)
    for index, cell in enumerate(row):
        if cell is None or cell == "":
            continue
        name = columns.get(index)
        text = str(cell).strip()
        if name is None:
            problem = "extra"
        elif len(text) > MAX_CELL:
            problem = "long"
        elif not isinstance(cell, str | int | float | date):
            problem = "formula"
        elif isinstance(cell, str) and text.startswith(_FORMULA):
            problem = "formula"
        elif not codes.is_text(text):
            problem = "text"
        else:
            problem = _SETTERS[name](found, cell, text)
        if problem:
            found.problem, found.value = problem, text[:60].replace("\0", "")
            return found
    if not found.code:
        found.problem = "missing"
    elif found.valid_from and found.valid_to and found.valid_to < found.valid_from:
        found.problem, found.value = "backwards", str(found.valid_to)
    return found


def _set_code(found, cell, text):
    if isinstance(cell, bool | datetime | date):
        return "code"
    if isinstance(cell, int | float):
        # A spreadsheet keeps 15 digits of a number and makes the rest zeros.
        if not abs(cell) < 10**15 or cell != int(cell):
            return "number"
        text = str(int(cell))
    elif re.fullmatch(r"\d+(\.\d+)?[eE]\+\d+", text):
        return "number"
    if _EATEN.search(text):
        return "eaten"
    if _PAYMENT.fullmatch(text):
        return "payment"
    if not _CODE.fullmatch(text):
        return "code"
    found.code = text
    return ""


def _set_customer(found, cell, text):
    if isinstance(cell, bool | datetime | date):
        return "customer"
    if isinstance(cell, int | float):
        if not abs(cell) < 10**15 or cell != int(cell):
            return "customer"
        text = str(int(cell))
    found.customer = text
    return ""


def _set_valid_from(found, cell, text):
    found.valid_from = _day(cell, text)
    return "" if found.valid_from else "date"


def _set_valid_to(found, cell, text):
    found.valid_to = _day(cell, text)
    return "" if found.valid_to else "date"


_SETTERS = {
    "code": _set_code,
    "customer": _set_customer,
    "valid_from": _set_valid_from,
    "valid_to": _set_valid_to,
}


def _day(cell, text):
    if isinstance(cell, datetime):
        cell = cell.date()
    if not isinstance(cell, date):
        match = _DAY.fullmatch(text)
        try:
            cell = date(*map(int, match.groups())) if match else None
        except ValueError:
            return None
    return cell if cell and _FIRST_DAY <= cell <= _LAST_DAY else None


# === CSV === #


def _read_csv(stream):
    """Yield the rows of a CSV file with their line numbers."""
    encoding = _encoding(stream)
    stream.seek(0)
    text = io.TextIOWrapper(stream, encoding=encoding, newline="")
    try:
        first = text.readline(_SNIFF)
        delimiter = max(",;\t", key=first.count)
        lines = itertools.chain([first], text)
        reader = csv.reader(_short_lines(lines), delimiter=delimiter)
        while True:
            # A row in which a quoted cell has line breaks begins after the last one.
            line = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                raise CodeFileError("csv", line=line) from None
            yield line, row
    finally:
        # Whoever stops reading early may have closed it.
        if not stream.closed:
            text.detach()


def _short_lines(lines):
    for number, line in enumerate(lines, 1):
        if len(line) > 4 * MAX_CELL * len(COLUMNS):
            raise CodeFileError("csv", line=number)
        yield line


def _encoding(stream):
    """Find out how a text is written, reading it to its end."""
    stream.seek(0)
    head = stream.read(3)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        candidates = ["utf-16"]
    else:
        candidates = ["utf-8-sig", "gb18030"]
    for encoding in candidates:
        stream.seek(0)
        decoder = getincrementaldecoder(encoding)()
        try:
            while chunk := stream.read(_SNIFF):
                if "\0" in decoder.decode(chunk):
                    raise CodeFileError("kind")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise CodeFileError("encoding")


# === XLSX === #


def _read_xlsx(stream):
    """Yield the rows of the first sheet with their numbers."""
    try:
        with zipfile.ZipFile(stream) as archive:
            _check_parts(archive)
        reader = _Reader(stream, read_only=True, keep_links=False)
        reader.read()
        book = reader.wb
    except CodeFileError:
        raise
    except (*_BROKEN, InvalidFileException):
        raise CodeFileError("xlsx") from None
    try:
        if not book.worksheets:
            raise CodeFileError("empty")
        sheet = book.worksheets[0]
        # What the sheet says of its size may be anything.
        sheet.reset_dimensions()
        rows = sheet.iter_rows(values_only=True, max_col=64)
        for line, row in enumerate(rows, 1):
            if line > 2 * MAX_ROWS:
                raise CodeFileError("rows", most=MAX_ROWS)
            yield line, row
    except _BROKEN:
        raise CodeFileError("xlsx") from None
    finally:
        reader.close_strings()


_BROKEN = (
    AttributeError,
    DefusedXmlException,
    EOFError,
    IndexError,
    KeyError,
    NotImplementedError,
    OSError,
    ParseError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
)


def _check_parts(archive):
    """Refuse a file that unpacks to much more than it is, or defines entities."""
    parts = archive.infolist()
    unpacked = sum(part.file_size for part in parts)
    packed = max(sum(part.compress_size for part in parts), 1)
    if len(parts) > 1000 or unpacked > MAX_UNPACKED:
        raise CodeFileError("bomb")
    if unpacked > _RATIO_FROM and unpacked / packed > MAX_RATIO:
        raise CodeFileError("bomb")
    if "[Content_Types].xml" not in archive.namelist():
        raise CodeFileError("xlsx")
    for part in parts:
        if part.filename.endswith((".xml", ".rels")):
            with archive.open(part) as file:
                if b"<!" in file.read(2048).replace(b"\0", b"").replace(b"<!--", b""):
                    raise CodeFileError("xlsx")


class _Strings:
    """The texts of a workbook, on disk: there may be a million of them."""

    def __init__(self):
        self._file = TemporaryFile()
        self._starts = array("Q", [0])

    def append(self, text):
        self._file.write(text.encode("utf-8", "replace"))
        self._starts.append(self._file.tell())

    def __getitem__(self, index):
        start, end = self._starts[index], self._starts[index + 1]
        self._file.seek(start)
        return self._file.read(end - start).decode()

    def close(self):
        self._file.close()


class _Reader(ExcelReader):
    """openpyxl's reader, which would hold all texts in memory."""

    def read_strings(self):
        """Override of openpyxl."""
        self.shared_strings = strings = _Strings()
        content_type = self.package.find(SHARED_STRINGS)
        if content_type is None:
            return
        with self.archive.open(content_type.PartName[1:]) as source:
            parents = []
            for event, node in iterparse(source, events=("start", "end")):
                if event == "start":
                    parents.append(node)
                    continue
                parents.pop()
                if node.tag.rpartition("}")[2] != "si":
                    continue
                texts = (part.text or "" for part in node.iter() if _is_text(part))
                # One more than is allowed, so that it is seen to be too long.
                strings.append("".join(texts)[: MAX_CELL + 1])
                node.clear()
                if parents:
                    parents[-1].remove(node)

    def close_strings(self):
        """Drop the texts; the archive is closed with them."""
        self.shared_strings.close()
        self.archive.close()


def _is_text(part):
    return part.tag.rpartition("}")[2] == "t"
