"""Views and data in XML: well formed, and in the words of Odoo 19."""

import re
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from . import files

ADVICE = {
    "attrs": "use invisible=, readonly= or required= with an expression",
    "states": "use invisible= with an expression",
}
# What a record's id must contain, by its model.
ID_PARTS = {
    "ir.ui.view": "_view_",
    "ir.actions.act_window": "_action",
    "ir.actions.server": "_action",
    "ir.actions.client": "_action",
    "ir.actions.act_url": "_action",
    "ir.ui.menu": "_menu",
    "ir.rule": "_rule",
    "res.groups": "_group_",
    "ir.cron": "_cron",
}
# Fields that Odoo 19 does not have any more, by model, and what it has instead.
GONE_FIELDS = {
    "res.groups": {"category_id": "privilege_id", "users": "user_ids"},
    "res.users": {"groups_id": "group_ids"},
    "ir.ui.menu": {"groups_id": "group_ids"},
    "ir.ui.view": {"groups_id": "group_ids"},
    "ir.actions.act_window": {"groups_id": "group_ids"},
    "ir.actions.server": {"groups_id": "group_ids"},
    "ir.actions.report": {"groups_id": "group_ids"},
    "ir.cron": {"numbercall": "nothing", "doall": "nothing"},
}


def check(root: Path) -> list[str]:
    """Check every XML file of the add-ons."""
    return [problem for addon in files.addons(root) for problem in _addon(root, addon)]


def _addon(root: Path, addon: Path) -> Iterator[str]:
    seen: dict[str, str] = {}
    for path in files.below(addon, ".xml"):
        if "lib" in path.relative_to(addon).parts:
            continue
        try:
            tree = etree.parse(str(path))
        except etree.XMLSyntaxError as error:
            yield files.at(root, path, error.lineno, f"not well formed: {error.msg}")
            continue
        found = _static(tree) if "static" in path.parts else _data(tree)
        for line, text in found:
            yield files.at(root, path, line, text)
        if "static" not in path.parts:
            yield from _twice(root, path, tree, seen)


def _static(tree) -> Iterator[tuple[int, str]]:
    """Templates of the web client."""
    if tree.getroot().tag not in ("templates", "odoo", "svg"):
        yield tree.getroot().sourceline, "the root of a template file is <templates>"
    for node in tree.iter(etree.Element):
        if "t-raw" in node.attrib:
            yield node.sourceline, "t-raw= is gone: use t-out= with Markup"


def _data(tree) -> Iterator[tuple[int, str]]:
    root = tree.getroot()
    if root.tag != "odoo":
        yield root.sourceline, f"the root is <odoo>, not <{root.tag}>"
    for node in tree.iter(etree.Element):
        yield from _node(node)
    for record in tree.iter("record"):
        yield from _record(record)


def _node(node) -> Iterator[tuple[int, str]]:
    if node.tag == "tree":
        yield node.sourceline, "the view type is <list>, not <tree>"
    for name, advice in ADVICE.items():
        if name in node.attrib and node.tag != "record":
            yield node.sourceline, f"{name}= raises an error: {advice}"
    if node.tag == "attribute" and node.get("name") in ADVICE:
        name = node.get("name")
        yield node.sourceline, f"{name}= raises an error: {ADVICE[name]}"
    if node.tag == "group" and _in_search(node):
        for name in ("expand", "string"):
            if name in node.attrib:
                yield node.sourceline, f"<group {name}=> in a search view is invalid"
    if node.get("t-name") == "kanban-box":
        yield node.sourceline, 'a kanban card is t-name="card"'
    if node.tag == "div" and "oe_chatter" in node.get("class", ""):
        yield node.sourceline, "use <chatter/>"
    if "t-raw" in node.attrib:
        yield node.sourceline, "t-raw= is gone: use t-out= with Markup"


def _in_search(node) -> bool:
    return any(parent.tag == "search" for parent in node.iterancestors())


def _record(record) -> Iterator[tuple[int, str]]:
    model, name = record.get("model", ""), record.get("id", "")
    part = ID_PARTS.get(model)
    # Odoo's own records, named with their module, keep their ids.
    if part and "." not in name and not _fits(part, name):
        yield record.sourceline, f"the id of a {model} contains “{part}”, not “{name}”"
    for field in record.iterchildren("field"):
        gone = GONE_FIELDS.get(model, {}).get(field.get("name"))
        if gone:
            text = f"{model} has no {field.get('name')} in Odoo 19: use {gone}"
            yield field.sourceline, text
        if field.get("name") == "view_mode" and "tree" in (field.text or "").split(","):
            yield field.sourceline, "view_mode says list, not tree"


def _fits(part: str, name: str) -> bool:
    return bool(re.search(rf"(^|_){re.escape(part.strip('_'))}(_|$)", name))


def _twice(root: Path, path: Path, tree, seen: dict[str, str]) -> Iterator[str]:
    """The same id in two places of an add-on: the second silently wins."""
    for node in tree.iter("record", "template", "menuitem"):
        name = node.get("id")
        if not name or _updates(node):
            continue
        place = files.at(root, path, node.sourceline, "")
        if name in seen:
            text = f"the id {name} is also at {seen[name]}"
            yield files.at(root, path, node.sourceline, text)
        seen.setdefault(name, place.rstrip(": "))


def _updates(node) -> bool:
    """A record of another module, or one that is changed on purpose."""
    return "." in node.get("id") or node.get("forcecreate") is not None
