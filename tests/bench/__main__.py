"""``make bench``: one JSON line per figure; ratios of one run, never bare times.

``{"bench": …, "ours": …, "peer": …, "limit": …, "ratio": …}``: ``ours`` and ``peer``
in milliseconds or per second as ``unit`` says, ``limit`` is the bare database or an
empty route, ``ratio`` is ours / peer.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from tests.bench import bills, callbacks, coupons, payments
from wxenv import databases, postgres, shop

# A million coupons in the table; SMALL is for trying the benchmark itself.
SMALL = os.environ.get("BENCH") == "small"
ROWS = 20_000 if SMALL else 1_000_000
TRIALS = 40 if SMALL else 300
IN_ODOO = Path(__file__).with_name("redeem_in_odoo.py")

BARE_TABLE = """
CREATE TABLE bench_redemption (
    id bigserial PRIMARY KEY,
    coupon_id bigint NOT NULL,
    state text NOT NULL,
    request_no text UNIQUE
);
CREATE UNIQUE INDEX ON bench_redemption (coupon_id)
 WHERE state IN ('reserved', 'redeemed');
"""
BARE_SQL = """
\\set id random(1, {rows})
BEGIN;
INSERT INTO bench_redemption (coupon_id, state, request_no)
     VALUES (:id, 'reserved', md5(random()::text)) ON CONFLICT DO NOTHING;
COMMIT;
BEGIN;
UPDATE bench_redemption SET state = 'redeemed'
 WHERE coupon_id = :id AND state = 'reserved';
COMMIT;
"""


def figure(name: str, **values) -> None:
    print(json.dumps({"bench": name, **values}, ensure_ascii=False), flush=True)


def redeem(database: postgres.Database) -> None:
    """Reserve and redeem: Odoo's three calls, ours, and the bare SQL."""
    name = f"wechat_bench_{os.getpid()}"
    with databases.scratch(database, shop.template(database), name):
        settings = {"rows": ROWS, "trials": TRIALS}
        code = f"SETTINGS = {settings!r}\n{IN_ODOO.read_text()}"
        printed = databases.shell(database, name, code)
        line = next(row for row in printed.splitlines() if row.startswith("RESULT "))
        times = json.loads(line[7:])
        limit = bare_sql(database, name)
    ours, peer = median(times["ours"]), median(times["peer"])
    figure(
        "reserve + redeem vs use_coupon_code + validate + confirm",
        unit="ms, median",
        coupons=ROWS,
        trials=len(times["ours"]),
        ours=round(ours, 2),
        peer=round(peer, 2),
        limit=round(limit, 3),
        ratio=round(ours / peer, 2),
    )
    figure(
        "reserve + redeem vs the bare SQL",
        unit="ms",
        ours=round(ours, 2),
        limit=round(limit, 3),
        ratio=round(ours / limit, 1),
    )


def bare_sql(database: postgres.Database, name: str) -> float:
    """Milliseconds of one reserve and one redeem in pgbench, with the same guard."""
    database.execute(BARE_TABLE, name=name)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "redeem.sql"
        script.write_text(BARE_SQL.format(rows=ROWS))
        command = [postgres.binary("pgbench"), "-n", "-f", script, "-t", "2000", name]
        printed = subprocess.run(
            [str(part) for part in command],
            env={**os.environ, **database.environment()},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    line = next(row for row in printed.splitlines() if "latency average" in row)
    return float(line.split("=")[1].split()[0])


def main(names: list[str]) -> int:
    benches = {
        "redeem": redeem,
        "coupons": lambda database: coupons.run(figure, SMALL, database),
        "callbacks": lambda _db: callbacks.run(figure, SMALL),
        "payments": lambda _db: payments.run(figure, SMALL),
        "bills": lambda database: bills.run(figure, SMALL, database),
    }
    with postgres.server() as database:
        for name in names or benches:
            benches[name](database)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
