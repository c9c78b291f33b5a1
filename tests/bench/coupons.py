"""What a million coupons and redemptions cost: making, looking up, lists, reports."""

import json
import os
from pathlib import Path

from wxenv import databases, shop

IN_ODOO = Path(__file__).with_name("coupons_in_odoo.py")


def run(figure, small: bool, database) -> None:
    settings = {
        "made": 2_000 if small else 100_000,
        "few": 1_000 if small else 10_000,
        "many": 20_000 if small else 1_000_000,
        "held": 2_000 if small else 100_000,
        "trials": 10 if small else 40,
    }
    name = f"wechat_coupons_{os.getpid()}"
    with databases.scratch(database, shop.template(database), name):
        code = f"SETTINGS = {settings!r}\n{IN_ODOO.read_text()}"
        printed = databases.shell(database, name, code)
    for line in printed.splitlines():
        if line.startswith("RESULT "):
            values = json.loads(line[7:])
            figure(values.pop("bench"), **values)
