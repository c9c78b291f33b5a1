"""The log check on the log of an add-on that was written to be warned about."""

from pathlib import Path

import pytest

from wxenv import logcheck

LOG = (Path(__file__).parent / "data" / "bad_addon.log").read_text()
HEAD = "2026-11-22 18:35:12,093 1 WARNING shop"


@pytest.fixture(scope="module")
def addons(tmp_path_factory):
    root = tmp_path_factory.mktemp("addons")
    for name, model in (("wechat_bad", "wechat.bad"), ("scanner", "till.scanner")):
        models = root / name / "models"
        models.mkdir(parents=True)
        (models / "model.py").write_text(f'class Model:\n    _name = "{model}"\n')
    return root


def problems(text, root, names=("wechat_bad", "scanner")):
    return logcheck.problems(text, names, root)


@pytest.mark.parametrize(
    "part",
    [
        "'_sql_constraints' is no longer supported",
        "wechat.bad.line has no _description",
        "coupon.bad.wizard has no _description",
        "unknown parameter 'oldarg'",
        "have the same label: Same",
        "inconsistent 'store' for computed fields",
        "An alert (class alert-*)",
        "must have title in its tag",
        "<img> tag must contain an alt attribute",
        "have no access rules in module wechat_bad",
        "is a deprecated alias to @route(type='jsonrpc')",
        "use self.env.cr directly",
        "read_group is deprecated",
        "own warning",
        "Operator '==' is deprecated",
        "Operator '<>' is deprecated",
        "use action_archive",
        "FAIL: T.test_b",
        "ERROR: T.test_c",
        "1 failures, 2 errors of 3 tests",
        "Failed to load registry",
    ],
)
def test_what_odoo_says_about_a_bad_addon_is_found(part, addons):
    found = [line for line in problems(LOG, addons) if part in line]
    assert len(found) == 1


@pytest.mark.parametrize(
    "part",
    ["odoo.tools.config", "werkzeug", "Transient module states"],
)
def test_what_others_cause_is_let_through(part, addons):
    assert part in LOG
    assert not [line for line in problems(LOG, addons) if part in line]


def test_the_file_of_a_view_is_named(addons):
    line = next(x for x in problems(LOG, addons) if "<img> tag" in x)
    assert line.endswith("[/srv/addons/wechat_bad/views/v.xml:1]")


@pytest.mark.parametrize(
    "line",
    [
        f"{HEAD} odoo.addons.queue_job.jobrunner.runner: job wechat.event._drain died",
        f'{HEAD} odoo.sql_db: bad query: INSERT INTO "wechat_bad" VALUES (1)',
        f"{HEAD} odoo.sql_db: bad query: UPDATE till_scanner SET x = 1",
        f"{HEAD} odoo.addons.base.models.ir_ui_view: bad\n 'xmlid': 'scanner.x_view'",
        (
            f"{HEAD} odoo.http: Boom\nTraceback:\n"
            '  File "/srv/repo/scanner/controllers/main.py", line 4, in scan'
        ),
        f"\x1b[1;33m{HEAD} odoo.addons.scanner.models.till: lost\x1b[0m",
        (
            f"{HEAD} odoo.schema: Table 'coupon_redemption': unable to set NOT NULL on "
            "column of coupon.redemption"
        ),
    ],
)
def test_lines_of_ours(line, addons):
    assert len(problems(line, addons)) == 1


@pytest.mark.parametrize(
    "line",
    [
        f"{HEAD} odoo.addons.base.models.assetsbundle: mail/static/lib/x.js is missing",
        f"{HEAD} odoo.sql_db: bad query: UPDATE loyalty_card SET coupon_id = 1",
        f"{HEAD} odoo.http: https://wechat.example/x@wechat.example was not found",
        f"{HEAD} odoo.registry: Field sale.order.x: unknown parameter 'y'",
        f"{HEAD} odoo.addons.wechat_badly.models.x: another add-on",
        "2026-11-22 18:35:12,093 1 INFO shop odoo.addons.wechat_bad.models.m: all well",
        (
            f"{HEAD} py.warnings: /srv/odoo19/addons/sale/models/x.py:3: "
            "DeprecationWarning: old\n"
            '  File "/srv/repo/scanner/models/till.py", line 3, in call\n'
            '  File "/srv/odoo19/addons/sale/models/x.py", line 3, in _x'
        ),
    ],
)
def test_lines_of_others(line, addons):
    assert problems(line, addons) == []


def test_a_folder_named_odoo_hides_nothing(addons):
    line = (
        f"{HEAD} py.warnings: /srv/odoo/scanner/models/till.py:3: "
        "DeprecationWarning: old"
    )
    assert len(problems(line, addons)) == 1


def test_a_line_that_repeats_is_told_once(addons):
    line = f"{HEAD} odoo.addons.scanner.models.till: lost\n"
    assert len(problems(line * 3, addons)) == 1


def test_each_allowance_has_a_reason():
    assert all(len(reason) > 20 for _pattern, reason in logcheck.ALLOWED)
