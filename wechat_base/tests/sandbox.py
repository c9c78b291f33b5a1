"""The project's stand-in for WeChat, for the tests of all add-ons."""

import json
import os
import socket
import subprocess
import sys
import time
import unittest
from pathlib import Path
from urllib.request import Request, urlopen

SANDBOX = Path(__file__).resolve().parents[2] / "sandbox"


class Sandbox:
    """The project's stand-in for WeChat, as a process of its own.

    :raises unittest.SkipTest: if the add-on was installed with pip and stands alone;
        in the repository nothing is skipped
    """

    def __init__(self):
        if not (SANDBOX / "wechat_sandbox").is_dir():
            raise unittest.SkipTest(
                "These tests need the sandbox, which the repository has beside the "
                "add-ons. Clone the repository to run them."
            )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "wechat_sandbox"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        self.process = subprocess.Popen(
            command,
            cwd=SANDBOX,
            env={**os.environ, "PYTHONPATH": str(SANDBOX)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def _wait(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                self.call("GET", "health")
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("the sandbox did not start")

    def close(self):
        self.process.terminate()
        self.process.wait(10)

    def call(self, method, path, body=None):
        """Call the control API."""
        request = Request(
            f"{self.url}/sandbox/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    def post(self, path, /, **body):
        return self.call("POST", path, body)

    def code(self, code):
        """What the sandbox knows about a code."""
        return self.call("GET", f"state?code={code}")["codes"][0]

    def log(self, path):
        """The requests for a path so far."""
        return [entry for entry in self.call("GET", "log") if entry["path"] == path]

    def last_body(self, path):
        """What was sent with the last request for a path."""
        body = self.log(path)[-1]["body"]
        return json.loads(body) if isinstance(body, str) else body
