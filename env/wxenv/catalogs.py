"""``make i18n``: write the translation templates anew and bring zh_CN.po in line.

Odoo exports what a database and the sources say. Two things are done on top: a term
goes to the add-on whose model shows it (the states of an abstract model would else go
to the add-on that wrote them, and be lost without it), and translations are carried
over to the new file. What has none is left empty, and ``make lint`` names it.
"""

import copy
import json
from pathlib import Path

import polib

from . import databases, paths
from .console import say
from .linting.translations import LANGUAGE
from .postgres import Database

WIDTH = 78
_EXPORT = """
import io, json
from odoo.tools.translate import trans_export
templates = {}
for addon in %(addons)r:
    stream = io.BytesIO()
    trans_export(None, [addon], stream, "po", env)
    templates[addon] = stream.getvalue().decode()
owners = {
    name.replace(".", "_"): model._original_module
    for name, model in env.registry.items()
    if model._original_module in templates
}
modules = env["ir.module.module"].search([("name", "in", list(templates))])
below = {
    module.name: module.upstream_dependencies(exclude_states=("",)).mapped("name")
    for module in modules
}
print("CATALOGS" + json.dumps([templates, owners, below]))
"""


def refresh(database: Database, addons: list[str]) -> None:
    """Write the files of these add-ons.

    :param database: where a database with the add-ons is made if there is none
    """
    name = databases.with_addons(database)
    printed = databases.shell(database, name, _EXPORT % {"addons": list(addons)})
    line = next(row for row in printed.splitlines() if "CATALOGS" in row)
    texts, owners, below = json.loads(line.partition("CATALOGS")[2])
    templates = {addon: polib.pofile(text) for addon, text in texts.items()}
    _move(templates, owners, below)
    given = {addon: _translated(addon) for addon in templates}
    # The same words are translated the same way everywhere.
    common = {msgid: text for known in given.values() for msgid, text in known.items()}
    for addon, template in templates.items():
        _write(addon, template, {**common, **given[addon]}, given[addon])


def _move(templates: dict, owners: dict[str, str], below: dict[str, list]) -> None:
    """Give each term to the add-on of its model, if the writer stands below it."""
    for addon, template in templates.items():
        for entry in list(template):
            kept = []
            for place in entry.occurrences:
                owner = _owner(place[0], owners)
                if owner in (None, addon) or owner in below[addon]:
                    kept.append(place)
                else:
                    _add(templates[owner], owner, entry, place)
            entry.occurrences = kept
            if not kept:
                template.remove(entry)


def _owner(place: str, owners: dict[str, str]) -> str | None:
    """The add-on that made the model which a term belongs to."""
    kind, _sep, name = place.rpartition(".")
    if not kind.startswith("model:ir.model."):
        return None
    _prefix, _sep, rest = name.partition("_")
    rest = rest.lstrip("_")
    models = [model for model in owners if rest.startswith(f"{model}_")]
    return owners[max(models, key=len)] if models else None


def _add(template, owner: str, entry, place) -> None:
    found = template.find(entry.msgid)
    if not found:
        found = copy.copy(entry)
        found.occurrences = []
        found.comment = f"module: {owner}"
        template.append(found)
    if place not in found.occurrences:
        found.occurrences.append(place)


def _file(addon: str) -> Path:
    return paths.ROOT / addon / "i18n" / f"{LANGUAGE}.po"


def _translated(addon: str) -> dict[str, str]:
    file = _file(addon)
    entries = polib.pofile(str(file)) if file.exists() else ()
    return {e.msgid: e.msgstr for e in entries if e.msgstr and not e.obsolete}


def _write(addon: str, template, known: dict[str, str], given: dict[str, str]) -> None:
    file = _file(addon)
    file.parent.mkdir(exist_ok=True)
    template_file = file.with_name(f"{addon}.pot")
    if template_file.exists():
        # Its dates change nothing for anybody.
        template.metadata = polib.pofile(str(template_file)).metadata
    translation = polib.POFile(wrapwidth=WIDTH)
    translation.header = template.header
    translation.metadata = (
        polib.pofile(str(file)).metadata
        if file.exists()
        else {
            **template.metadata,
            "Language": LANGUAGE,
            "Plural-Forms": "nplurals=1; plural=0;",
        }
    )
    template.wrapwidth = WIDTH
    template.sort(key=lambda entry: entry.msgid)
    for entry in template:
        entry.occurrences.sort()
        translated = copy.copy(entry)
        translated.msgstr = known.get(entry.msgid, "")
        translation.append(translated)
    template.save(str(template_file), newline="\n")
    translation.save(str(file), newline="\n")
    empty = sum(not entry.msgstr for entry in translation)
    gone = len(given.keys() - {entry.msgid for entry in template})
    say(f"{addon}: {len(template)} terms, {empty} without translation, {gone} gone")
