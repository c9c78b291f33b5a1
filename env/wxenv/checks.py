"""``make test``, ``make proof``, ``make demo``, ``make bench`` and ``make lint``."""

import os
import re
import subprocess
import time
from dataclasses import dataclass, field

from . import databases, odoo_run, paths, postgres, services, system
from .console import SetupError, say
from .venv import PYTHON

# Odoo's own suites that must stay green with our add-ons installed.
ODOO_SUITES = ("loyalty", "pos_loyalty", "sale_loyalty")


@dataclass
class Result:
    """What one part of the tests came to."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def line(self) -> str:
        return (
            f"{self.name:<16} {self.passed:>5} passed, {self.failed} failed, "
            f"{self.skipped} skipped, {self.seconds:.0f} s"
        )


def main(name: str, rest: list[str]) -> int:
    """Run one of the larger commands and return its exit code."""
    if name == "lint":
        from . import lint

        return lint.main(rest)
    commands = {"test": test, "proof": proof, "demo": demo, "bench": bench}
    if name not in commands:
        raise SetupError(f"There is no command {name}; make help lists them.")
    with postgres.server() as database:
        return commands[name](database, rest)


def test(database: postgres.Database, _rest: list[str]) -> int:
    """All tests, or the part named by ONLY."""
    addons = paths.addons()
    parts = {
        "unit": lambda: pytest_part("unit", ["tests/unit"]),
        "sandbox": lambda: pytest_part("sandbox", ["sandbox/tests"]),
        "addons": lambda: odoo_part(database, "addons", addons, addons),
        "stories": lambda: pytest_part("stories", ["tests/stories"], database),
        "proofs": lambda: pytest_part("proofs", ["tests/proofs"], database),
    }
    alone = {
        name: lambda name=name: odoo_part(database, name, [name], [name])
        for name in addons
    }
    alone["channels"] = lambda: channels(database)
    return _run_parts(parts, alone)


def proof(database: postgres.Database, _rest: list[str]) -> int:
    """The long proofs at full size."""
    parts = {
        "race": lambda: pytest_part("race", ["tests/proofs/test_race.py"], database),
        "payment_race": lambda: pytest_part(
            "payment_race", ["tests/proofs/test_payment_race.py"], database
        ),
        "faults": lambda: pytest_part(
            "faults", ["tests/proofs/test_faults.py"], database
        ),
        "payments": lambda: pytest_part(
            "payments", ["tests/proofs/test_payments.py"], database
        ),
        "bills": lambda: pytest_part("bills", ["tests/proofs/test_bills.py"], database),
        "channels": lambda: channels(database),
        "odoo": lambda: odoo_part(database, "odoo", paths.addons(), ODOO_SUITES),
    }
    os.environ["PROOF"] = "full"
    return _run_parts(parts, {})


def channels(database: postgres.Database) -> Result:
    """The same cases for every channel of coupons, and each call under each fault."""
    addons = ["wechat_coupon"]
    return odoo_part(database, "channels", addons, addons, tags="wechat_channels")


def demo(database: postgres.Database, rest: list[str]) -> int:
    """The main story, told step by step; exit 1 when one step is not true."""
    databases.with_addons(database)
    return _python(database, "-m", "tests.demo", *rest)


def bench(database: postgres.Database, rest: list[str]) -> int:
    """The benchmarks, one JSON line per figure."""
    databases.with_addons(database)
    only = [os.environ["ONLY"]] if os.environ.get("ONLY") else []
    return _python(database, "-m", "tests.bench", *only, *rest)


def _run_parts(parts: dict, alone: dict) -> int:
    only = os.environ.get("ONLY", "").strip()
    every = {**parts, **alone}
    if only and only not in every:
        raise SetupError(f"ONLY={only}: choose one of {', '.join(sorted(every))}.")
    chosen = {only: every[only]} if only else parts
    results = []
    for name, function in chosen.items():
        say(f"\n== {name}")
        start = time.monotonic()
        result = function()
        result.seconds = time.monotonic() - start
        results.append(result)
        for note in result.notes:
            say(f"  {note}")
    say("")
    for result in results:
        say(result.line())
    total = [
        sum(getattr(result, kind) for result in results)
        for kind in ("passed", "failed", "skipped")
    ]
    say("{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] or not total[0] else 0


def pytest_part(
    name: str, targets: list[str], database: postgres.Database | None = None
) -> Result:
    """Run pytest in a process of its own and read its closing line."""
    present = [target for target in targets if (paths.ROOT / target).exists()]
    if not present:
        return Result(name, failed=1, notes=[f"{targets[0]} is missing"])
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:odoo", *present]
    lines = []
    with subprocess.Popen(
        [str(part) for part in command],
        cwd=paths.ROOT,
        env=_environment(database),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    counts = dict.fromkeys(("passed", "failed", "skipped", "error"), 0)
    closing = next((line for line in reversed(lines) if " in " in line), "")
    for number, kind in re.findall(r"(\d+) (passed|failed|skipped|error)", closing):
        counts[kind] = int(number)
    failed = counts["failed"] + counts["error"]
    if process.returncode and not failed:
        failed = 1
    return Result(name, counts["passed"], failed, counts["skipped"])


def odoo_part(
    database: postgres.Database, name: str, install: list[str], tested, tags: str = ""
) -> Result:
    """Install add-ons into a copy of the template and run tests of some of them.

    :param tags: which of their tests; all by default

    The log is read afterwards: a warning that our add-ons cause is a failure.
    """
    from .logcheck import problems

    scratch = f"wechat_test_{os.getpid()}"
    log = paths.LOGS / f"test-{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    config = odoo_run.write_config(
        database,
        paths.RUN / f"test-{name}.conf",
        http_port=services.free_port(),
        gevent_port=services.free_port(),
        limit_time_real=0,
        max_cron_threads=0,
    )
    tags = tags or ",".join(f"/{addon}" for addon in tested)
    # Odoo's own suites are installed in the template; their tests must be told to
    # run on an update.
    update = [addon for addon in tested if addon not in install]
    with databases.scratch(database, databases.template(database), scratch):
        command = odoo_run.command(config, "-d", scratch, "--test-tags", tags)
        command += ["-i", ",".join(install), "--stop-after-init", "--logfile", str(log)]
        if update:
            command += ["-u", ",".join(update)]
        done = subprocess.run(
            command,
            env={**odoo_run.environment(), **_browser()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    text = log.read_text(errors="replace") if log.exists() else done.stderr
    result = read_odoo_log(name, text)
    if done.returncode and not result.failed:
        result.failed = 1
        result.notes.append((done.stderr or text)[-2000:])
    warnings = problems(text, paths.addons())
    if warnings:
        result.failed += 1
        result.notes += ["The log holds warnings of ours:", *warnings[:20]]
    result.notes.append(f"log: {log.relative_to(paths.ROOT)}")
    return result


def read_odoo_log(name: str, text: str) -> Result:
    """Count the tests in Odoo's log and collect the failures."""
    result = Result(name)
    found = re.findall(
        r"odoo\.tests\.result: (\d+) failed, (\d+) error\(s\) of (\d+) tests", text
    )
    if not found:
        return Result(name, failed=1, notes=["No test ran.", text[-2000:]])
    failed, errors, total = (int(number) for number in found[-1])
    result.failed = failed + errors
    result.skipped = len(re.findall(r": skipped \S+\.test_", text))
    result.passed = total - result.failed - result.skipped
    result.notes += re.findall(r" INFO \S+ \S+: FIGURE (.*)", text)
    for line in text.splitlines():
        if re.search(r" (ERROR|CRITICAL) .*(FAIL: |ERROR: )", line):
            result.notes.append(line[:300])
    return result


def _browser() -> dict[str, str]:
    found = system.browser()
    return {"BROWSER_BIN": found} if found else {}


def _environment(database: postgres.Database | None) -> dict[str, str]:
    environment = {**os.environ, **_browser(), "PYTHONUNBUFFERED": "1"}
    environment["PYTHONPATH"] = f"{paths.ROOT}:{paths.ROOT / 'env'}"
    return {**environment, **(database.environment() if database else {})}


def _python(database: postgres.Database, *arguments: str) -> int:
    return subprocess.run(
        [str(PYTHON), *arguments],
        cwd=paths.ROOT,
        env=_environment(database),
        stdin=subprocess.DEVNULL,
    ).returncode
