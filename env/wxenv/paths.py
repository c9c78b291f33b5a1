"""Where things are. ``WECHAT_ENV_HOME`` lets several checkouts share one set."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("WECHAT_ENV_HOME", ROOT)).resolve()

VENV = HOME / ".venv"
ODOO = HOME / ".odoo"
ODOO_SRC = ODOO / "src"  # the folder that holds the package ``odoo``
DATA = HOME / ".run"  # the database cluster, shared by the checkouts
RUN = ROOT / ".run"  # logs, pid files and screenshots of this checkout
LOGS = RUN / "logs"

ADDONS = (
    "wechat_base",
    "wechat_pay",
    "wechat_pay_sms",
    "wechat_coupon",
    "wechat_coupon_pos_sale",
)


def addons() -> list[str]:
    """The add-ons of this checkout, in the order of their dependencies."""
    return [name for name in ADDONS if (ROOT / name / "__manifest__.py").exists()]
