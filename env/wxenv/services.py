"""The processes of a running shop: Odoo's workers, the sandbox and a front door."""

import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import odoo_run, paths
from .console import SetupError
from .postgres import Database
from .venv import PYTHON


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _end_with_parent() -> None:
    """Ask the kernel to end this child when its parent dies, even by kill -9."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1 = PR_SET_PDEATHSIG


class Process:
    """One process of ours with its log; its whole process group ends with it."""

    def __init__(self, name: str, command: list, *, cwd=None, env=None):
        self.name = name
        self.log = paths.LOGS / f"{name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as output:
            self.popen = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd or paths.ROOT,
                env=env or os.environ,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def wait_for(self, url: str, seconds: float = 120) -> None:
        """Wait until an address answers at all; fail if the process ends first."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.popen.poll() is not None:
                break
            try:
                with urllib.request.urlopen(url, timeout=10):
                    answered = True
            except urllib.error.HTTPError:
                answered = True
            except OSError:
                answered = False
            time.sleep(0.1)
            # Another process may hold the port: only ours being alive counts.
            if answered and self.popen.poll() is None:
                return
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
        raise SetupError(f"{self.name} did not start:\n{tail}\nIts log: {self.log}")

    def stop(self, seconds: float = 15) -> None:
        if self.popen.poll() is None:
            self.popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(seconds)
        # Whatever the process left behind in its own group goes too.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(5)


class Stack:
    """Odoo on one database, the sandbox, and the door that joins Odoo's two ports.

    Odoo's workers serve pages on one port and web sockets on another; the door does
    what the reverse proxy does in production.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        *,
        workers: int = 2,
        port: int = 0,
        sandbox_port: int = 0,
        sandbox_data: Path | None = None,
        label: str = "stack",
        options: dict | None = None,
    ):
        self.database = database
        self.name = name
        self.workers = workers
        self.label = label
        self.port = port or free_port()
        self.odoo_port = free_port()
        self.gevent_port = free_port()
        self.sandbox_port = sandbox_port or free_port()
        self.sandbox_data = sandbox_data
        self.options = options or {}
        self.processes: dict[str, Process] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    def __enter__(self):
        try:
            self.start_sandbox()
            self.start_odoo()
            self.start_door()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_unused):
        self.stop()

    def start_sandbox(self) -> None:
        if not (paths.ROOT / "sandbox" / "wechat_sandbox").is_dir():
            return
        command = [PYTHON, "-m", "wechat_sandbox", "--host", "127.0.0.1"]
        command += ["--port", self.sandbox_port]
        if self.sandbox_data:
            command += ["--data", self.sandbox_data]
        process = self._start("sandbox", command, cwd=paths.ROOT / "sandbox")
        process.wait_for(f"{self.sandbox_url}/sandbox/health", 30)

    def start_odoo(self) -> None:
        config = odoo_run.write_config(
            self.database,
            paths.RUN / f"{self.label}.conf",
            workers=self.workers,
            http_port=self.odoo_port,
            gevent_port=self.gevent_port,
            proxy_mode="True",
            db_name=self.name,
            dbfilter=f"^{self.name}$",
            # The runner of queue_job is told where Odoo's own workers listen.
            **{
                "limit_memory_soft": 4 * 1024**3,
                "limit_memory_hard": 6 * 1024**3,
                **self.options,
            },
        )
        with config.open("a") as file:
            file.write(
                "\n[queue_job]\nchannels = root:2\nscheme = http\n"
                f"host = 127.0.0.1\nport = {self.odoo_port}\n"
            )
        process = self._start(
            "odoo", odoo_run.command(config), env=odoo_run.environment()
        )
        process.wait_for(f"http://127.0.0.1:{self.odoo_port}/web/health")

    def start_door(self) -> None:
        command = [PYTHON, Path(__file__).with_name("front_door.py")]
        command += [self.port, self.odoo_port, self.gevent_port]
        self._start("door", command).wait_for(f"{self.url}/web/health", 30)

    def worker_pids(self) -> list[int]:
        """The pids of Odoo's living HTTP workers, for tests that kill one."""
        log = self.processes["odoo"].log.read_text(errors="replace")
        started = {int(pid) for pid in re.findall(r"WorkerHTTP \((\d+)\) alive", log)}
        return sorted(pid for pid in started if Path(f"/proc/{pid}").exists())

    def stop(self) -> None:
        for name in ("door", "odoo", "sandbox"):
            process = self.processes.pop(name, None)
            if process:
                process.stop()

    def _start(self, name: str, command: list, **kwargs) -> Process:
        process = Process(f"{self.label}-{name}", command, **kwargs)
        self.processes[name] = process
        return process
