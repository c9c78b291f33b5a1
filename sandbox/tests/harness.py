"""The sandbox as a subprocess on a free port, and small helpers."""

import html
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import requests
from defusedxml import ElementTree

ROOT = Path(__file__).resolve().parent.parent
LOGO = "http://mmbiz.qpic.cn/mmbiz_png/logo/0"


class Process:
    """A running sandbox and its control API."""

    def __init__(self, *args: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "wechat_sandbox", "--port", "0", *args]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, env=environment, text=True
        )
        line = self.process.stdout.readline()
        assert "http://" in line, line
        self.url = line.split()[-1].removesuffix("/phone")
        self.http = requests.Session()
        self.http.trust_env = False

    def stop(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(10)
        finally:
            self.process.kill()
            self.process.stdout.close()
            self.http.close()

    def control(self, method: str, path: str, body=None, status: int = 200):
        answer = self.http.request(
            method, f"{self.url}/sandbox/{path}", json=body, timeout=30
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, status: int = 200, **body):
        return self.control("POST", path, body, status)

    def get(self, path: str, status: int = 200):
        return self.control("GET", path, None, status)

    def fault(self, **body):
        return self.control("POST", "faults", body)

    def wait_callbacks(self) -> None:
        assert self.post("callbacks/wait", timeout=20)["idle"]

    def code(self, code: str) -> dict:
        (found,) = self.get(f"state?code={code}")["codes"]
        return found


class Api:
    """A plain client of the Official Account API: no library, no retries."""

    def __init__(self, box: Process, appid: str, secret: str) -> None:
        self.box = box
        self.appid = appid
        self.secret = secret
        self.token = ""

    def login(self) -> str:
        reply = self.box.http.get(
            f"{self.box.url}/cgi-bin/token",
            params={
                "grant_type": "client_credential",
                "appid": self.appid,
                "secret": self.secret,
            },
            timeout=10,
        ).json()
        self.token = reply["access_token"]
        return self.token

    def raw(self, method: str, path: str, data=None, params=None, **options):
        if not self.token:
            self.login()
        query = {"access_token": self.token, **(params or {})}
        return self.box.http.request(
            method,
            f"{self.box.url}/{path}",
            params=query,
            data=data,
            timeout=options.pop("timeout", 10),
            **options,
        )

    def post(self, path: str, **body) -> dict:
        data = json.dumps(body, ensure_ascii=False).encode()
        answer = self.raw("POST", path, data)
        assert answer.status_code == 200
        return json.loads(answer.content)

    def get(self, path: str, **params) -> dict:
        return json.loads(self.raw("GET", path, params=params).content)


def base_info(**changes) -> dict:
    now = int(time.time())
    values = {
        "logo_url": LOGO,
        "brand_name": "测试商店",
        "code_type": "CODE_TYPE_QRCODE",
        "title": "十元代金券",
        "color": "Color010",
        "notice": "请出示二维码",
        "description": "全场通用",
        "date_info": {
            "type": "DATE_TYPE_FIX_TIME_RANGE",
            "begin_timestamp": now - 3600,
            "end_timestamp": now + 30 * 86400,
        },
        "sku": {"quantity": 100},
        "get_limit": 5,
        "can_give_friend": True,
    }
    values.update(changes)
    return {key: value for key, value in values.items() if value is not None}


def cash_card(least_cost: int = 0, reduce_cost: int = 1000, **changes) -> dict:
    return {
        "card_type": "CASH",
        "cash": {
            "base_info": base_info(**changes),
            "least_cost": least_cost,
            "reduce_cost": reduce_cost,
        },
    }


def member_card(base=None, **changes) -> dict:
    dates = {"type": "DATE_TYPE_PERMANENT"}
    body = {
        "base_info": base_info(title="会员卡", date_info=dates, **(base or {})),
        "prerogative": "会员九折",
        "supply_bonus": True,
        "supply_balance": False,
        **changes,
    }
    return {"card_type": "MEMBER_CARD", "member_card": body}


class Receiver:
    """A callback URL: keeps what arrives, answers what it is told."""

    def __init__(self) -> None:
        self.requests: list[dict] = []
        self.replies: list[tuple[int, str]] = []
        self.arrived = threading.Condition()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers.get("Content-Length", 0))
                owner.keep(self, self.rfile.read(length))

            def do_GET(self):
                owner.keep(self, b"")

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(
            target=self.server.serve_forever, args=(0.02,), daemon=True
        ).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/callback"

    def keep(self, handler, body: bytes) -> None:
        parts = urlsplit(handler.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        with self.arrived:
            status, text = 200, "success"
            if self.replies:
                status, text = self.replies.pop(0)
            if text == "ECHO":
                text = query.get("echostr", "")
            self.requests.append(
                {"query": query, "body": body, "headers": dict(handler.headers)}
            )
            self.arrived.notify_all()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(text.encode())))
        handler.end_headers()
        handler.wfile.write(text.encode())

    def wait(self, count: int) -> list[dict]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= count, 10), (
                f"{len(self.requests)} of {count} callbacks"
            )
            return list(self.requests)

    def events(self) -> list[dict]:
        """Return the plain messages that arrived, as dicts."""
        found = []
        for request in self.requests:
            root = ElementTree.fromstring(request["body"])
            found.append({child.tag: (child.text or "").strip() for child in root})
        return found

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Browser:
    """Just enough of a browser: cookies, redirects, forms."""

    def __init__(self, box) -> None:
        self.url = box.url
        self.http = requests.Session()
        self.http.trust_env = False

    def get(self, path, status=200):
        answer = self.http.get(self.url + path)
        assert answer.status_code == status, answer.text
        assert "script" not in answer.headers.get("Content-Security-Policy", "")
        return html.unescape(answer.text)

    def post(self, path, status=200, **form):
        headers = {"Origin": self.url}
        answer = self.http.post(self.url + path, data=form, headers=headers)
        assert answer.status_code == status, answer.text
        return html.unescape(answer.text)
