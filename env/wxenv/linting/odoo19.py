"""What Odoo 19 ignores or only warns about, and rules for models that no tool has."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from . import files

# Attributes that are deprecated or gone, and what takes their place.
GONE_NAMES = {
    "_sql_constraints": "models.Constraint: Odoo 19 ignores _sql_constraints",
    "_cr": "env.cr",
    "_uid": "env.uid",
    "_context": "env.context",
    "read_group": "_read_group or formatted_read_group",
    "toggle_active": "action_archive and action_unarchive",
    "check_access_rights": "check_access or has_access",
    "check_access_rule": "check_access or has_access",
    "name_get": "_compute_display_name",
    "_notify_progress": "_commit_progress",
    "current_test": "a seam that the test can replace",
}
GONE_PREFIX = "_loader_params_"
GONE_IMPORTS = {
    ("odoo", "registry"): "odoo.modules.registry.Registry",
    ("odoo.osv", "expression"): "odoo.fields.Domain",
}
# Public names that Odoo gave; they need no docstring of ours.
ORM = frozenset(
    "copy copy_data create default_get fields_get get_views init name_create "
    "name_search read search search_read unlink web_read write".split()
)
SECRET = re.compile(
    r"(^|_)(secret|password|token|private_key|apiv3_key|aes_key|api_key)$"
)
MISSING_GROUPS = 'holds a secret: it needs groups="base.group_system"'
MISSING_COPY = "holds a secret: it needs copy=False"


def check(root: Path) -> list[str]:
    """Check every Python file of the add-ons."""
    problems = []
    for addon in files.addons(root):
        for path in files.below(addon, ".py"):
            try:
                tree = ast.parse(path.read_text())
            except SyntaxError as error:
                problems.append(files.at(root, path, error.lineno, "syntax error"))
                continue
            test = "tests" in path.relative_to(addon).parts
            problems += [
                files.at(root, path, line, text)
                for line, text in sorted(_file(tree, test))
            ]
    return problems


def _file(tree: ast.Module, test: bool) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        yield from _gone(node)
        if isinstance(node, ast.Call):
            yield from _route(node)
            yield from _test_guard(node, test)
        if isinstance(node, ast.ClassDef) and not test:
            yield from _docstrings(node)
            yield from _secrets(node)


def _gone(node: ast.AST) -> Iterator[tuple[int, str]]:
    name = None
    if isinstance(node, ast.Attribute):
        name = node.attr
    elif isinstance(node, ast.FunctionDef):
        name = node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        name = node.id
    if name in GONE_NAMES:
        yield node.lineno, f"{name} is deprecated or gone: use {GONE_NAMES[name]}"
    if name and name.startswith(GONE_PREFIX):
        yield node.lineno, f"{name}: the till loads by _load_pos_data_* now"
    if isinstance(node, ast.ImportFrom):
        for alias in node.names:
            better = GONE_IMPORTS.get((node.module, alias.name))
            if better:
                yield node.lineno, f"{node.module}.{alias.name}: use {better}"


def _route(call: ast.Call) -> Iterator[tuple[int, str]]:
    """Routes: ``type="json"`` is gone; without a user the cursor is read-only."""
    if _name(call.func) != "route":
        return
    options = {keyword.arg: keyword.value for keyword in call.keywords}
    if _constant(options.get("type")) == "json":
        yield call.lineno, 'a route of type "json" is now "jsonrpc"'
    if _constant(options.get("auth")) == "none" and "readonly" not in options:
        text = "auth='none' gives a read-only cursor: say readonly=False or True"
        yield call.lineno, text
    if _constant(options.get("csrf")) is False:
        for wanted in ("methods", "save_session"):
            if wanted not in options:
                yield call.lineno, f"a route without csrf states {wanted}="


def _test_guard(call: ast.Call, test: bool) -> Iterator[tuple[int, str]]:
    """Code that behaves otherwise in a test hides what the test should show."""
    arguments = [_constant(argument) for argument in call.args]
    if "test_enable" in arguments and not test:
        yield call.lineno, "no test_enable in business code: make a seam instead"


def _docstrings(node: ast.ClassDef) -> Iterator[tuple[int, str]]:
    for item in () if node.name.startswith("_") else node.body:
        if not isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        public = not item.name.startswith("_") and item.name not in ORM
        if public and not ast.get_docstring(item) and not _is_property(item):
            yield item.lineno, f"{node.name}.{item.name} is public and has no docstring"


def _is_property(function: ast.FunctionDef) -> bool:
    names = {_name(decorator) for decorator in function.decorator_list}
    return bool(names & {"property", "setter", "cached_property", "override"})


def _secrets(node: ast.ClassDef) -> Iterator[tuple[int, str]]:
    for item in node.body:
        if not (isinstance(item, ast.Assign) and isinstance(item.value, ast.Call)):
            continue
        name, call = _name(item.targets[0]), item.value
        stored = _name(call.func) in ("Char", "Text", "Binary", "Json")
        if not (stored and SECRET.search(name)):
            continue
        options = {keyword.arg: keyword.value for keyword in call.keywords}
        if "base.group_system" not in str(_constant(options.get("groups"))):
            yield item.lineno, f"{name} {MISSING_GROUPS}"
        if "compute" not in options and _constant(options.get("copy")) is not False:
            yield item.lineno, f"{name} {MISSING_COPY}"


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Call):
        return _name(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _constant(node: ast.AST | None):
    return node.value if isinstance(node, ast.Constant) else None
