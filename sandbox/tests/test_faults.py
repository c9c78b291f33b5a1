"""Fault switches, restarts, the control API's own manners, and speed."""

import json
import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from harness import Api, Process, cash_card

GONE = (requests.ConnectionError, requests.Timeout)


@pytest.fixture
def code(box, card, user):
    return box.post(f"phone/{user}/receive", card_id=card)["code"]


def consume(api, code, timeout=5):
    data = json.dumps({"code": code}).encode()
    return api.raw("POST", "card/code/consume", data, timeout=timeout).json()


def test_timeout_after_commits(box, api, code):
    box.fault(path="/card/code/consume", kind="timeout_after", times=1, seconds=2)
    with pytest.raises(GONE):
        consume(api, code, timeout=0.5)
    assert box.code(code)["consume_count"] == 1
    assert api.post("card/code/get", code=code)["errcode"] == 40127
    assert consume(api, code)["errcode"] == 40099
    # The connection is dropped in the end, without an answer.
    with pytest.raises(GONE):
        box.fault(path="getcolors", kind="timeout_after", times=1, seconds=0.05)
        api.raw("GET", "card/getcolors")
    faults = [entry["fault"] for entry in box.get("log")]
    assert faults.count("timeout_after") == 2


def test_timeout_before_changes_nothing(box, api, code):
    box.fault(path="/card/code/consume", kind="timeout_before", times=1, seconds=0.05)
    with pytest.raises(GONE):
        consume(api, code)
    assert box.code(code)["consume_count"] == 0
    assert consume(api, code)["errcode"] == 0


def test_drop_connection(box, api, code):
    box.fault(path="consume", kind="drop_connection", times=1)
    with pytest.raises(GONE):
        consume(api, code)
    assert box.code(code)["consume_count"] == 0


def test_http_status_before_and_after_the_change(box, api, code):
    box.fault(path="consume", kind="http_status", status=502, times=1, body="<html>")
    answer = api.raw("POST", "card/code/consume", json.dumps({"code": code}))
    assert (answer.status_code, answer.text) == (502, "<html>")
    assert box.code(code)["consume_count"] == 0
    box.fault(path="consume", kind="http_status", status=502, commit=True, times=1)
    answer = api.raw("POST", "card/code/consume", json.dumps({"code": code}))
    assert answer.status_code == 502
    assert box.code(code)["consume_count"] == 1


def test_errcode_and_counting(box, api):
    box.fault(path="^/card/get", method="GET", kind="errcode", errcode=45009, times=2)
    assert api.get("card/getcolors")["errcode"] == 45009
    assert api.post("card/get", card_id="x")["errcode"] == 40073
    assert api.get("card/getcolors")["errcode"] == 45009
    assert api.get("card/getcolors")["errcode"] == 0
    box.fault(path="getcolors", kind="errcode", errcode=-1, errmsg="busy", times=0)
    for _ in range(3):
        reply = api.get("card/getcolors")
        assert reply["errcode"] == -1 and reply["errmsg"].startswith("busy")
    assert len(box.get("faults")) == 1
    assert box.control("DELETE", "faults")["cleared"] == 1
    assert api.get("card/getcolors")["errcode"] == 0


def test_delay(box, api):
    box.fault(path="getcolors", kind="delay", seconds=0.2, times=1)
    started = time.monotonic()
    assert api.get("card/getcolors")["errcode"] == 0
    assert time.monotonic() - started >= 0.2


def test_expire_token(box, api):
    api.login()
    box.fault(path="getcolors", kind="expire_token", times=1)
    assert api.get("card/getcolors")["errcode"] == 42001
    api.login()
    assert api.get("card/getcolors")["errcode"] == 0


def test_bad_faults_are_refused(box):
    for body in (
        {"kind": "other"},
        {"kind": "delay", "path": "("},
        {"kind": "delay", "times": -1},
        {"kind": "delay", "seconds": "x"},
    ):
        assert box.control("POST", "faults", body, status=400)["ok"] is False


# -- the control API
def test_control_refuses_what_it_does_not_know(box, account):
    post = box.control
    post("POST", "accounts", {"appid": account, "colour": 1}, status=400)
    post("POST", "accounts", {"appid": account, "secret": 1}, status=400)
    post("POST", "accounts", {"appid": account, "callback_mode": "x"}, status=400)
    post("POST", "accounts", {"secret": "x"}, status=400)
    bad = {"appid": "wxnew", "callback_mode": "safe", "encoding_aes_key": "short"}
    post("POST", "accounts", bad, status=400)
    post("POST", "settings", {"speed": 1}, status=400)
    post("POST", "settings", {"time_scale": -1}, status=400)
    post("POST", "merchants", {"mchid": "1", "apiv3_key": "short"}, status=400)
    post("POST", "merchants", {"mchid": "1", "merchant_cert_pem": "x"}, status=400)
    post("POST", "phone/onobody/receive", {}, status=404)
    post("POST", "cards/pnothing/review", {"pass": True}, status=404)
    answer = box.http.post(f"{box.url}/sandbox/users", data=b"{")
    assert answer.status_code == 400


def test_other_web_sites_may_not_control_it(box):
    headers = {"Origin": "http://evil.example"}
    for path in ("/sandbox/reset", "/phone/users"):
        answer = box.http.post(box.url + path, data="{}", headers=headers)
        assert answer.status_code == 403


def test_accounts_are_changed_field_by_field(box, account):
    shown = box.post("accounts", appid=account, name="店")
    assert shown["can_create_coupons"] is True and shown["name"] == "店"
    assert "secret" not in shown and "token" not in shown


def test_reset(box, api, card, user):
    box.fault(path="x", kind="delay", times=0)
    box.post("clock", advance=5000)
    box.post("reset", keep_accounts=True)
    state = box.get("state")
    assert len(state["accounts"]) == 1
    assert not state["cards"] and not state["users"] and not state["tokens"]
    assert box.get("log") == [] and box.get("faults") == []
    assert abs(state["now"] - time.time()) < 5
    box.post("reset")
    assert box.get("state")["accounts"] == []


def test_log_since(box, api, account):
    api.get("card/getcolors")
    last = box.get("log")[-1]["n"]
    api.post("card/get", card_id="x")
    (entry,) = box.get(f"log?since={last}")
    assert entry["path"] == "/card/get" and entry["method"] == "POST"
    assert entry["status"] == 200 and "40073" in entry["response"]
    assert entry["body"] == '{"card_id": "x"}'
    assert entry["query"] == "access_token=***"


# -- restarts
def test_state_survives_sigterm(tmp_path):
    box = Process("--data", str(tmp_path), "--time-scale", "0.01")
    silent = socket.create_server(("127.0.0.1", 0))
    silent.close()
    try:
        box.post(
            "accounts",
            appid="wx1",
            secret="s",
            token="t",
            can_create_coupons=True,
        )
        made = box.post("merchants", mchid="19", apiv3_key="k" * 32, generate=True)
        api = Api(box, "wx1", "s")
        card = api.post("card/create", card=cash_card())["card_id"]
        box.post(f"cards/{card}/review", **{"pass": True})
        user = box.post("users", nickname="小明")["openid"]
        codes = [
            box.post(f"phone/{user}/receive", card_id=card)["code"] for _ in range(3)
        ]
        api.post("card/code/consume", code=codes[0])
        box.post(f"phone/{user}/gift", code=codes[2], chat_room=True)
        token = api.token
    finally:
        assert box.stop() == 0
    assert [path.name for path in tmp_path.iterdir()] == ["sandbox.json"]
    box = Process("--data", str(tmp_path))
    try:
        api = Api(box, "wx1", "s")
        api.token = token
        assert api.post("card/code/consume", code=codes[0])["errcode"] == 40099
        assert api.post("card/code/consume", code=codes[1])["errcode"] == 0
        shown = api.post("card/get", card_id=card)["card"]["cash"]["base_info"]
        assert shown["sku"]["quantity"] == 97
        friend = box.post("users", nickname="b")["openid"]
        assert box.post(f"phone/{friend}/accept")["old_code"] == codes[2]
        again = box.post("merchants", mchid="19")
        assert again["platform_serial"] == made["platform_serial"]
        assert again["public_key_id"] == made["public_key_id"]
    finally:
        assert box.stop() == 0


def test_pending_callbacks_survive_a_restart(tmp_path, receiver):
    box = Process("--data", str(tmp_path))
    receiver.replies = [(500, "")]
    try:
        box.post("accounts", appid="wx1", secret="s", callback_url=receiver.url)
        user = box.post("users", nickname="x")["openid"]
        box.post(f"phone/{user}/subscribe", appid="wx1")
        receiver.wait(1)
    finally:
        assert box.stop() == 0
    box = Process("--data", str(tmp_path))
    try:
        receiver.wait(2)
        box.wait_callbacks()
    finally:
        assert box.stop() == 0
    assert receiver.requests[0]["body"] == receiver.requests[1]["body"]


def test_seed_file(tmp_path):
    from harness import ROOT

    seed = ROOT / "examples" / "seed.json"
    box = Process("--seed", str(seed), "--data", str(tmp_path))
    try:
        state = box.get("state")
        assert len(state["cards"]) == 2 and len(state["users"]) == 2
        assert {card["status"] for card in state["cards"]} == {"CARD_STATUS_VERIFY_OK"}
    finally:
        assert box.stop() == 0
    box = Process("--seed", str(seed), "--data", str(tmp_path))
    try:
        assert len(box.get("state")["cards"]) == 2
    finally:
        assert box.stop() == 0


# -- speed
def test_five_hundred_simple_requests_a_second(box, account, card, user):
    """Four connections, so that the clients' own work does not count double."""
    code = box.post(f"phone/{user}/receive", card_id=card)["code"]
    data = json.dumps({"code": code}).encode()
    count = 250

    def run(_):
        api = Api(box, account, "s" * 32)
        api.box = type("Box", (), {"http": requests.Session(), "url": box.url})()
        api.login()
        for _ in range(count):
            reply = api.raw("POST", "card/code/get", data)
            assert reply.status_code == 200
        return count

    before = box.get("log")[-1]["n"]
    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(run, range(2))) == 2 * count
    entries = [e for e in box.get(f"log?since={before}") if e["path"].endswith("get")]
    assert len(entries) == 2 * count
    # What the sandbox itself spent, without the clients.
    assert statistics.median(entry["seconds"] for entry in entries) < 1 / 500
