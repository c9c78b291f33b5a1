"""An add-on's README.md, put together from the fragments in its ``readme/``.

``python env/wxenv/readme.py`` writes them all; ``make lint`` says which are stale.
"""

import ast
import sys
from pathlib import Path

# The fragments that OCA knows, in its order, with their headings.
PARTS = {
    "DESCRIPTION": "",
    "CONTEXT": "Use cases / context",
    "INSTALL": "Installation",
    "CONFIGURE": "Configuration",
    "USAGE": "Usage",
    "ROADMAP": "Known issues / roadmap",
    "HISTORY": "Changelog",
    "CONTRIBUTORS": "Contributors",
    "CREDITS": "Credits",
}


def compose(addon: Path) -> str:
    """The text of an add-on's README.md."""
    manifest = ast.literal_eval((addon / "__manifest__.py").read_text())
    parts = [f"# {manifest.get('name', addon.name)}"]
    for name, heading in PARTS.items():
        fragment = addon / "readme" / f"{name}.md"
        if fragment.exists():
            text = fragment.read_text().strip()
            parts.append(f"## {heading}\n\n{text}" if heading else text)
    parts.append(f"License: {manifest.get('license')}. Source: <{_source(manifest)}>")
    return "\n\n".join(parts) + "\n"


def _source(manifest: dict) -> str:
    return manifest.get("website", "")


def main(root: Path) -> None:
    """Write the README.md of each add-on."""
    for manifest in sorted(root.glob("*/__manifest__.py")):
        (manifest.parent / "README.md").write_text(compose(manifest.parent))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]))
