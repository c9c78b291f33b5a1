"""Each check of ``make lint`` finds the fault it is there for, and nothing else."""

from pathlib import Path
from textwrap import dedent

import pytest

from wxenv import lint, readme
from wxenv.linting import addons, documents, odoo19, slips, translations, xml_files

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = {
    "name": "Till",
    "summary": "A till",
    "version": "19.0.1.0.0",
    "category": "Sales",
    "author": "WeChat Retail contributors",
    "website": "https://example.com/till",
    "license": "LGPL-3",
    "depends": ["base"],
    "data": ["views/till_views.xml"],
}


@pytest.fixture
def repository(tmp_path):
    """A repository with one add-on that has no fault."""
    write(tmp_path, "till/__manifest__.py", repr(MANIFEST))
    write(tmp_path, "till/__init__.py", "from . import models")
    write(tmp_path, "till/models/__init__.py", "")
    write(tmp_path, "till/views/till_views.xml", "<odoo/>")
    write(tmp_path, "till/readme/DESCRIPTION.md", "A till.")
    write(tmp_path, "till/static/description/icon.png", "")
    write(
        tmp_path,
        "till/pyproject.toml",
        '[build-system]\nrequires = ["whool"]\nbuild-backend = "whool.buildapi"\n',
    )
    write(tmp_path, "till/i18n/till.pot", "")
    write(tmp_path, "till/i18n/zh_CN.po", "")
    write(tmp_path, "env/requirements-odoo.txt", "requests==2.31.0\n")
    (tmp_path / "till/README.md").write_text(readme.compose(tmp_path / "till"))
    return tmp_path


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))
    return path


def manifest(root: Path, **changes) -> None:
    write(root, "till/__manifest__.py", repr({**MANIFEST, **changes}))


def only(problems, part: str) -> str:
    """The one problem that there is, which says ``part``."""
    assert len(problems) == 1, problems
    assert part in problems[0]
    return problems[0]


@pytest.mark.parametrize("module", [addons, odoo19, translations, xml_files])
def test_a_good_addon_has_no_problem(repository, module):
    assert module.check(repository) == []


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"license": "AGPL-3"}, "the license is LGPL-3"),
        ({"version": "18.0.1.0.0"}, "the version is 19.0"),
        ({"version": "19.0.1"}, "the version is 19.0"),
        ({"data": []}, "views/till_views.xml is never loaded"),
        (
            {"external_dependencies": {"python": ["lxml"]}},
            "names lxml, which is imported nowhere",
        ),
    ],
)
def test_manifest(repository, changes, part):
    manifest(repository, **changes)
    found = [line for line in addons.check(repository) if "README" not in line]
    only(found, part)


def test_an_import_that_is_not_stated(repository):
    write(repository, "till/models/x.py", "import polib, requests, json\n")
    line = only(addons.check(repository), "external_dependencies lacks polib")
    assert "models/x.py:1" in line
    manifest(repository, external_dependencies={"python": ["polib>=1"]})
    assert addons.check(repository) == []


def test_an_addon_that_is_not_in_depends(repository):
    write(repository, "till/x.py", "from odoo.addons.nowhere.tools import y\n")
    only(addons.check(repository), "depends lacks nowhere")


@pytest.mark.parametrize(
    "name",
    ["readme/DESCRIPTION.md", "static/description/icon.png", "pyproject.toml"],
)
def test_a_file_that_every_addon_has(repository, name):
    (repository / "till" / name).unlink()
    assert any(f"till/{name}: missing" in x for x in addons.check(repository))


def test_a_readme_that_is_stale(repository):
    write(repository, "till/readme/USAGE.md", "Scan.")
    only(addons.check(repository), "till/README.md")
    readme.main(repository)
    assert "## Usage\n\nScan." in (repository / "till/README.md").read_text()
    assert addons.check(repository) == []


@pytest.mark.parametrize(
    ("xml", "part"),
    [
        ("<odoo><record></odoo>", "not well formed"),
        ("<openerp/>", "the root is <odoo>"),
        ("<odoo><tree/></odoo>", "<list>, not <tree>"),
        ("<odoo><field name='a' attrs='{}'/></odoo>", "attrs= raises"),
        ("<odoo><button states='draft'/></odoo>", "states= raises"),
        ("<odoo><attribute name='attrs'>{}</attribute></odoo>", "attrs= raises"),
        ("<odoo><search><group expand='0'/></search></odoo>", "<group expand=>"),
        ("<odoo><search><group string='By'/></search></odoo>", "<group string=>"),
        ("<odoo><t t-name='kanban-box'/></odoo>", "card"),
        ("<odoo><div class='oe_chatter'/></odoo>", "<chatter/>"),
        ("<odoo><t t-raw='x'/></odoo>", "t-out="),
        ("<odoo><record id='till' model='ir.ui.view'/></odoo>", "“_view_”"),
        ("<odoo><record id='till_x' model='ir.rule'/></odoo>", "“_rule”"),
        (
            (
                "<odoo><record id='a_group_b' model='res.groups'>"
                "<field name='users'/></record></odoo>"
            ),
            "use user_ids",
        ),
        (
            (
                "<odoo><record id='a_cron' model='ir.cron'>"
                "<field name='numbercall'/></record></odoo>"
            ),
            "numbercall in Odoo 19",
        ),
        (
            (
                "<odoo><record id='a_action' model='ir.actions.act_window'>"
                "<field name='view_mode'>tree,form</field></record></odoo>"
            ),
            "view_mode says list",
        ),
        (
            "<odoo><record id='a' model='m'/><record id='a' model='m'/></odoo>",
            "the id a is also at till/views/till_views.xml:1",
        ),
    ],
)
def test_views(repository, xml, part):
    write(repository, "till/views/till_views.xml", xml)
    only(xml_files.check(repository), part)


def test_views_that_are_right(repository):
    write(
        repository,
        "till/views/till_views.xml",
        """\
        <odoo>
            <record id="till_view_form" model="ir.ui.view">
                <field name="arch" type="xml">
                    <form><group string="Till"><field name="states"/></group></form>
                </field>
            </record>
            <record id="till_view_search" model="ir.ui.view">
                <field name="arch" type="xml">
                    <search><group><filter name="a" string="A"/></group></search>
                </field>
            </record>
            <record id="base.group_user" model="res.groups"/>
            <record id="till_rule_company" model="ir.rule"/>
            <record id="till_action" model="ir.actions.act_window"/>
        </odoo>
        """,
    )
    assert xml_files.check(repository) == []


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("class A:\n    _sql_constraints = []", "models.Constraint"),
        ("self._cr.execute(x)", "use env.cr"),
        ("records.read_group([], [], [])", "_read_group"),
        ("class A:\n    def name_get(self):\n        'x'", "_compute_display_name"),
        ("class A:\n    def _loader_params_x(self): pass", "_load_pos_data_"),
        ("from odoo import registry", "odoo.modules.registry.Registry"),
        ("from odoo.osv import expression", "odoo.fields.Domain"),
        ("@route('/x', type='json')\ndef x(): pass", "jsonrpc"),
        ("@http.route('/x', type='http', auth='none')\ndef x(): pass", "readonly="),
        (
            "@http.route('/x', csrf=False, methods=['POST'])\ndef x(): pass",
            "save_session=",
        ),
        ("if config['x'] or config.get('test_enable'): pass", "test_enable"),
        ("class A:\n    def action_pay(self): pass", "A.action_pay is public"),
        ("class A:\n    secret = fields.Char(copy=False)", "base.group_system"),
        (
            "class A:\n    aes_key = fields.Char(groups='base.group_system')",
            "copy=False",
        ),
    ],
)
def test_python_of_an_addon(repository, code, part):
    write(repository, "till/models/x.py", code)
    only(odoo19.check(repository), part)


@pytest.mark.parametrize(
    "code",
    [
        "class A:\n    def write(self, values): return super().write(values)",
        "class A:\n    def _compute_x(self): pass",
        "class A:\n    def action_pay(self):\n        '''Pay.'''",
        "class A:\n    key_mode = fields.Selection([])",
        "class A:\n    token_expires_at = fields.Datetime()",
        "class A:\n    token = fields.Char(groups='base.group_system', copy=False)",
        "@http.route('/x', auth='none', readonly=False)\ndef x(): pass",
        "self.env['x']._read_group([])",
    ],
)
def test_python_that_is_right(repository, code):
    write(repository, "till/models/x.py", code)
    assert odoo19.check(repository) == []


PO = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'


def entry(msgid: str, msgstr: str, comment: str = "") -> str:
    return f'{comment}msgid "{msgid}"\nmsgstr "{msgstr}"\n\n'


@pytest.mark.parametrize(
    ("msgid", "translated", "part"),
    [
        ("Pay", "", "missing"),
        ("Pay", entry("Pay", ""), "not translated"),
        ("Pay", entry("Pay", "支付", "#, fuzzy\n"), "fuzzy"),
        ("Pay %(x)s", entry("Pay %(x)s", "支付 %(y)s"), "placeholders differ"),
        ("Pay %s", entry("Pay %s", "支付"), "placeholders differ"),
        ("<b>Pay</b>", entry("<b>Pay</b>", "支付"), "tags differ"),
        ("Pay", entry("Pay", "支付") + entry("Old", "旧"), "no source has this"),
    ],
)
def test_translations(repository, msgid, translated, part):
    write(repository, "till/i18n/till.pot", PO + entry(msgid, ""))
    write(repository, "till/i18n/zh_CN.po", PO + translated)
    only(translations.check(repository), part)


def test_a_translation_that_is_whole(repository):
    write(
        repository, "till/i18n/till.pot", PO + entry("Pay %(x)s now, 5% off for %s", "")
    )
    text = entry("Pay %(x)s now, 5% off for %s", "立即支付 %(x)s，%s优惠 5%")
    write(repository, "till/i18n/zh_CN.po", PO + text)
    assert translations.check(repository) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("till/models/x.py", "self.env._('Not in it: %(x)s', x=1)"),
        ("till/models/x.py", "x = fields.Char('Not in it: label')"),
        ("till/models/x.py", "x = fields.Selection([('a', 'Not in it: choice')])"),
        ("till/models/x.py", "x = fields.Many2one('res.partner', help='Not in it')"),
        ("till/static/src/x.js", "const a = _t('Not in it: script');"),
        ("till/static/src/x.xml", "<templates><t t-name='x'>Not in it</t></templates>"),
        (
            "till/views/till_views.xml",
            (
                "<odoo><record id='v' model='ir.ui.view'><field name='arch' type='xml'>"
                "<form><field name='x' placeholder='Not in it: hint'/></form>"
                "</field></record></odoo>"
            ),
        ),
        (
            "till/views/till_views.xml",
            "<odoo><menuitem id='m' name='Not in it: menu'/></odoo>",
        ),
    ],
)
def test_a_text_that_the_template_lacks(repository, name, text):
    write(repository, name, text)
    only(translations.check(repository), "not in till.pot: “Not in it")


REQUIREMENTS = "\n".join(f"| {n} | Feature {n} | open | |" for n in range(1, 232))


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("| 7 | Feature 7 | open | |", "", "without [7]"),
        ("| 7 | Feature 7 | open | |", "| 7 | Feature 7 | ready | |", "not “ready”"),
        ("| 7 | Feature 7 | open | |", "| 7 | Feature 7 | done | |", "names no test"),
        (
            "| 7 | Feature 7 | open | |",
            "| 7 | Feature 7 | done | `till/tests/test_y.py` |",
            "there is no test till/tests/test_y.py",
        ),
        (
            "| 7 | Feature 7 | open | |",
            "| 7 | Feature 7 | done | `till/tests/test_x.py::test_z` |",
            "has no test_z",
        ),
        ("| 7 | Feature 7 | open | |", "| 7 | F | open |", "3 columns instead of 4"),
        ("| 7 | Feature 7 | open | |", "| 7 | F | open | by hand |", "is named as"),
        (
            "| 7 | Feature 7 | open | |",
            "| 7 | Feature 7 | done | `till/tests/test_x.py::TestX::test_a` |",
            "",
        ),
    ],
)
def test_requirements(tmp_path, old, new, part):
    write(tmp_path, "till/tests/test_x.py", "class TestX:\n    def test_a(self): ...")
    write(tmp_path, "docs/requirements.md", REQUIREMENTS.replace(f"{old}", new))
    found = list(documents.requirements(tmp_path))
    if part:
        only(found, part)
    else:
        assert found == []


def test_the_two_readmes_have_one_shape(tmp_path):
    write(tmp_path, "docs/requirements.md", REQUIREMENTS)
    write(tmp_path, "README.md", "# A\n\n```sh\n# no heading\n```\n\n## B\n")
    write(tmp_path, "README.zh-CN.md", "# 甲\n\n```sh\n# 无\n```\n\n## 乙\n")
    assert documents.check(tmp_path) == []
    write(tmp_path, "README.zh-CN.md", "# 甲\n\n```sh\n# 无\n```\n")
    only(documents.check(tmp_path), "headings differ")
    write(tmp_path, "README.zh-CN.md", "# 甲\n\n## 乙\n")
    only(documents.check(tmp_path), "blocks of code differ")


def test_a_link_that_leads_nowhere(tmp_path):
    write(tmp_path, "docs/requirements.md", REQUIREMENTS)
    write(tmp_path, "README.md", "[a](docs/requirements.md#x) [b](docs/lost.md)\n")
    write(tmp_path, "README.zh-CN.md", "")
    line = only(documents.check(tmp_path), "docs/lost.md is not there")
    assert line.startswith("README.md:1:")


SLASH = "/"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("index = https://py" + "pi.org/simple", "a host of packages"),
        ("resolved: registry.npm" + "js.org", "a host of packages"),
        (f"open('{SLASH}work/main/x')", "a path of one machine"),
        (f"cd {SLASH}home/anna/odoo", "a path of one machine"),
        ("-----BEGIN " + "PRIVATE KEY-----\n" + "A" * 64, "a private key"),
        ("token = 'gh" + "p_" + "a" * 36 + "'", "a token"),
        ("postgres://odoo:" + "verysecret@db/shop", "a password in an address"),
        ("see design " + "§8", "not in the repository"),
        ("<<<" + "<<<< HEAD", "left from a merge"),
    ],
)
def test_slips(text, part):
    only([found for _line, found in slips.scan(f"\n{text}\n")], part)


@pytest.mark.parametrize(
    "text",
    [
        f"http://127.0.0.1:8070{SLASH}work/orders",
        "https://pay.weixin.qq.com/doc/v3/merchant",
        "/web/content and /var/lib/odoo",
        '"-----BEGIN PRIVATE KEY-----" in text',
        "a.home/x/y",
    ],
)
def test_no_slip(text):
    assert list(slips.scan(text)) == []


def test_a_key_made_for_tests_is_let_through():
    key = "-----BEGIN " + "PRIVATE KEY-----\n" + "A" * 64
    assert list(slips.scan(key, test=True)) == []


def test_an_unknown_check_is_refused(capsys):
    assert lint.main(["spelling"]) == 2
    assert "No such check: spelling" in capsys.readouterr().out


def test_the_total_decides(repository, capsys):
    assert lint.main(["xml", "odoo19"], repository) == 0
    write(repository, "till/views/till_views.xml", "<odoo><tree/></odoo>")
    assert lint.main(["xml", "odoo19"], repository) == 1
    output = capsys.readouterr().out
    assert "till/views/till_views.xml:1: the view type is <list>" in output
    assert output.endswith("1 problem.\n")


def test_ruff_finds_a_missing_comma(tmp_path):
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    write(tmp_path, "x.py", 'STATES = (\n    "a",\n    "b"\n    "c",\n)\n')
    only(lint.tools.ruff_check(tmp_path), "ISC004")
    write(tmp_path, "x.py", 'x = "a"\n')
    assert lint.tools.ruff_format(tmp_path) == []
    write(tmp_path, "x.py", "x = 'a'\n")
    only(lint.tools.ruff_format(tmp_path), "x.py")


def test_no_npm_is_a_problem_and_says_what_to_do(tmp_path, monkeypatch):
    write(tmp_path, "till/static/src/x.js", "const a = 1;\n")
    write(tmp_path, "package-lock.json", "{}")
    monkeypatch.setattr(lint.tools.shutil, "which", lambda name: None)
    only(lint.tools.eslint(tmp_path), "npm is missing")
