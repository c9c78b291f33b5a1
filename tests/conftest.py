"""Paths for the tests: the environment's package stands beside this folder."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for folder in (ROOT, ROOT / "env"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
