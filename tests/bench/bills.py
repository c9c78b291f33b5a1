"""A trade bill read, stored and compared, against copying its lines bare."""

import json
import os
from pathlib import Path

from wxenv import databases, postgres, shop

IN_ODOO = Path(__file__).with_name("bill_in_odoo.py")


def run(figure, small: bool, database: postgres.Database) -> None:
    """Measure and print the figure.

    :param figure: function that prints one figure
    """
    lines = 10_000 if small else 100_000
    name = f"wechat_benchbill_{os.getpid()}"
    with databases.scratch(database, shop.template(database), name):
        code = f"SETTINGS = {{'lines': {lines}}}\n{IN_ODOO.read_text()}"
        printed = databases.shell(database, name, code)
    row = next(row for row in printed.splitlines() if row.startswith("RESULT "))
    found = json.loads(row[7:])
    figure(
        "trade bill read, stored and compared vs COPY of its lines",
        unit="lines per second",
        lines=lines,
        ours=round(lines / found["ours"]),
        limit=round(lines / found["copy"]),
        ratio=round(found["copy"] / found["ours"], 3),
        seconds=round(found["ours"], 1),
        file_mb=round(found["bytes"] / 1e6, 1),
        peak_mb=round(found["peak"] / 1e6, 1),
        differences=found["differences"],
    )
