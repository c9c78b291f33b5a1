"""The Chinese translation is whole, and the template knows what the sources say.

The strings of the sources are taken with Odoo's own extractors, so no database is
needed. What only a database knows (labels that Odoo makes itself) is not looked at.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import polib
from lxml import etree

from . import files

LANGUAGE = "zh_CN"
PLACEHOLDER = re.compile(r"%\(\w+\)[#0\- +]*[\d.]*[a-zA-Z]|%[sdr](?![A-Za-z])|\{\w*\}")
TAG = re.compile(r"</?[a-z][\w-]*")
# Options of fields whose value is shown to users.
SHOWN_OPTIONS = ("string", "help")


def check(root: Path) -> list[str]:
    """Check the translations of each add-on."""
    return [problem for addon in files.addons(root) for problem in _addon(root, addon)]


def _addon(root: Path, addon: Path) -> Iterator[str]:
    template = addon / "i18n" / f"{addon.name}.pot"
    translation = addon / "i18n" / f"{LANGUAGE}.po"
    missing = [path for path in (template, translation) if not path.exists()]
    if missing:
        yield from (files.at(root, path, None, "missing") for path in missing)
        return
    try:
        wanted, given = polib.pofile(str(template)), polib.pofile(str(translation))
    except (OSError, ValueError) as error:
        yield files.at(root, addon / "i18n", None, f"can't be read: {error}")
        return
    yield from _complete(root, translation, wanted, given)
    known = {entry.msgid for entry in wanted if not entry.obsolete}
    # Odoo leaves out what has no word in it.
    for path, line, text in _sources(addon):
        if text not in known and len(re.sub(r"\W+", "", text)) > 1:
            shown = text if len(text) < 60 else f"{text[:57]}…"
            yield files.at(root, path, line, f"not in {template.name}: “{shown}”")


def _complete(root, path, wanted, given) -> Iterator[str]:
    """Every text of the template has its translation, and no other has one."""
    entries = {entry.msgid: entry for entry in given if not entry.obsolete}
    for source in wanted:
        if source.obsolete:
            continue
        entry = entries.pop(source.msgid, None)
        line = entry.linenum if entry else None
        for text in _entry(source.msgid, entry):
            yield files.at(root, path, line, f"{text}: “{source.msgid[:60]}”")
    for entry in entries.values():
        text = f"no source has this text any more: “{entry.msgid[:60]}”"
        yield files.at(root, path, entry.linenum, text)


def _entry(msgid: str, entry) -> Iterator[str]:
    if entry is None:
        yield "missing"
    elif not entry.msgstr.strip():
        yield "not translated"
    elif entry.fuzzy:
        yield "fuzzy"
    else:
        for name, pattern in (("placeholders", PLACEHOLDER), ("tags", TAG)):
            if sorted(pattern.findall(msgid)) != sorted(pattern.findall(entry.msgstr)):
                yield f"{name} differ"


def _sources(addon: Path) -> Iterator[tuple[Path, int, str]]:
    """The texts of an add-on, as Odoo's export takes them from its files."""
    for path in files.below(addon, ".py"):
        yield from _extracted(path, "extract_python", {"_": None, "_lt": None})
        if "tests" not in path.relative_to(addon).parts:
            yield from _fields(path)
    for path in files.below(addon / "static" / "src", ".js"):
        yield from _extracted(path, "extract_javascript", {"_t": None})
    for path in files.below(addon / "static" / "src", ".xml"):
        yield from _templates(path)
    for name in files.manifest(addon).get("data", ()):
        path = addon / name
        if path.suffix == ".xml" and path.exists():
            yield from _views(path)


def _extracted(path: Path, method: str, keywords: dict):
    from babel.messages import extract

    options = {"encoding": "UTF-8"} if method == "extract_python" else {}
    with path.open("rb") as source:
        found = extract.extract(
            f"odoo.tools.babel:{method}", source, keywords=keywords, options=options
        )
        for line, message, *_rest in found:
            if message:
                yield path, line, message


def _templates(path: Path):
    from odoo.tools.translate import babel_extract_qweb

    try:
        with path.open("rb") as source:
            found = babel_extract_qweb(source, (), (), {})
    except etree.XMLSyntaxError:  # the check "xml" says it
        return
    for line, _function, message, _comments in found:
        yield path, line, message


def _views(path: Path):
    """The texts in the views and templates of a data file."""
    from odoo.tools.translate import xml_translate

    try:
        tree = etree.parse(str(path))
    except etree.XMLSyntaxError:
        return
    nodes = list(tree.iter("template"))
    for record in tree.iter("record"):
        if record.get("model") == "ir.ui.view":
            nodes += record.xpath("field[@name='arch']")
        yield from _names(path, record)
    for node in nodes:
        for child in node:
            if isinstance(child.tag, str):
                found: list[str] = []
                xml_translate(_collector(found), _source(child))
                yield from ((path, child.sourceline, text) for text in found)
    for item in tree.iter("menuitem"):
        if item.get("name"):
            yield path, item.sourceline, item.get("name")


def _source(node) -> str:
    return etree.tostring(node, encoding="unicode", with_tail=False)


def _collector(found: list[str]):
    def collect(text):
        found.append(text)

    return collect


NAMED = ("ir.actions.act_window", "ir.ui.menu", "res.groups", "ir.actions.server")


def _names(path: Path, record):
    """The names that users read: of actions, menus and groups."""
    for field in record.iterchildren("field"):
        named = field.get("name") == "name" and record.get("model") in NAMED
        if named and field.text and "." not in record.get("id", "."):
            yield path, field.sourceline, field.text


def _fields(path: Path):
    """Labels, help texts and choices of fields."""
    try:
        tree = ast.parse(path.read_text())
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_field(node.func):
            for value in _shown(node):
                yield path, value.lineno, value.value


def _is_field(function: ast.AST) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "fields"
        and function.attr[:1].isupper()
    )


def _shown(call: ast.Call) -> Iterator[ast.Constant]:
    options = {keyword.arg: keyword.value for keyword in call.keywords}
    # A relation's first argument is a model, a choice's first one the choices.
    labelled = call.func.attr not in ("Many2one", "One2many", "Many2many", "Selection")
    values = [options.get(name) for name in SHOWN_OPTIONS]
    values += call.args[:1] if labelled else []
    choices = [options.get("selection"), options.get("selection_add")]
    choices += call.args[:1] if call.func.attr == "Selection" else []
    for choice in choices:
        if isinstance(choice, ast.List | ast.Tuple):
            values += [
                pair.elts[1]
                for pair in choice.elts
                if isinstance(pair, ast.Tuple | ast.List) and len(pair.elts) == 2
            ]
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            if value.value.strip():
                yield value
