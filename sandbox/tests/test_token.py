"""cgi-bin/token, cgi-bin/stable_token, tickets, and the checks before every call."""

import pytest


def classic(box, appid, secret, /, **extra):
    params = {"grant_type": "client_credential", "appid": appid, "secret": secret}
    params.update(extra)
    return box.http.get(f"{box.url}/cgi-bin/token", params=params).json()


def stable(box, appid, secret, /, **extra):
    body = {"grant_type": "client_credential", "appid": appid, "secret": secret}
    body.update(extra)
    return box.http.post(f"{box.url}/cgi-bin/stable_token", json=body).json()


def usable(box, token) -> int:
    """Return the errcode of a harmless call with this token (0 = good)."""
    params = {} if token is None else {"access_token": token}
    reply = box.http.get(f"{box.url}/card/getcolors", params=params).json()
    return reply["errcode"]


SECRET = "s" * 32


def test_classic_token_overlaps_once(box, account):
    first = classic(box, account, SECRET)
    assert first["expires_in"] == 7200 and "errcode" not in first
    second = classic(box, account, SECRET)["access_token"]
    assert second != first["access_token"]
    assert usable(box, first["access_token"]) == 0
    third = classic(box, account, SECRET)["access_token"]
    assert usable(box, first["access_token"]) == 40001
    assert usable(box, second) == 0
    box.post("clock", advance=301)
    assert usable(box, second) == 40001
    assert usable(box, third) == 0
    box.post("clock", advance=7200)
    assert usable(box, third) == 42001


def test_stable_token_stays_the_same_until_its_last_minutes(box, account):
    first = stable(box, account, SECRET)
    again = stable(box, account, SECRET)
    assert again["access_token"] == first["access_token"]
    box.post("clock", advance=6000)
    later = stable(box, account, SECRET)
    assert later["access_token"] == first["access_token"]
    assert 1195 <= later["expires_in"] <= 1200
    box.post("clock", advance=950)
    renewed = stable(box, account, SECRET)
    assert renewed["access_token"] != first["access_token"]
    assert usable(box, first["access_token"]) == 0


def test_stable_and_classic_do_not_touch_each_other(box, account):
    one = stable(box, account, SECRET)["access_token"]
    for _ in range(3):
        two = classic(box, account, SECRET)["access_token"]
    assert usable(box, one) == 0 and usable(box, two) == 0


def test_forced_refresh_has_limits(box, account):
    first = stable(box, account, SECRET)["access_token"]
    second = stable(box, account, SECRET, force_refresh=True)["access_token"]
    assert usable(box, first) == 40001 and usable(box, second) == 0
    assert stable(box, account, SECRET, force_refresh=True)["errcode"] == 45011
    for _ in range(19):
        box.post("clock", advance=31)
        assert "access_token" in stable(box, account, SECRET, force_refresh=True)
    box.post("clock", advance=31)
    assert stable(box, account, SECRET, force_refresh=True)["errcode"] == 45009


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"grant_type": "other"}, 40002),
        ({"appid": ""}, 41002),
        ({"secret": ""}, 41004),
        ({"appid": "wxunknown"}, 40013),
        ({"secret": "wrong"}, 40001),
    ],
)
def test_token_refusals(box, account, change, errcode):
    assert classic(box, account, SECRET, **change)["errcode"] == errcode
    assert stable(box, account, SECRET, **change)["errcode"] == errcode


def test_ip_white_list(box, account):
    box.post("accounts", appid=account, ip_whitelist=["10.0.0.0/8"])
    assert classic(box, account, SECRET)["errcode"] == 40164
    assert stable(box, account, SECRET)["errcode"] == 40164
    box.post("accounts", appid=account, ip_whitelist=["127.0.0.1"])
    assert "access_token" in classic(box, account, SECRET)


def test_classic_quota(box, account):
    box.post("settings", classic_token_quota=2)
    classic(box, account, SECRET)
    classic(box, account, SECRET)
    assert classic(box, account, SECRET)["errcode"] == 45009


def test_token_is_checked_before_anything_else(box, api):
    assert usable(box, None) == 41001
    assert usable(box, "short") == 40014
    assert usable(box, "x" * 100) == 40001
    # No token and a wrong method and a broken body: still 41001.
    reply = box.http.get(f"{box.url}/card/create").json()
    assert reply["errcode"] == 41001
    assert "rid: " in reply["errmsg"]


def test_methods_and_bodies(api):
    assert api.raw("GET", "card/create").json()["errcode"] == 43002
    assert api.raw("POST", "card/getcolors", b"{}").json()["errcode"] == 43001
    assert api.raw("POST", "card/get", b"").json()["errcode"] == 44002
    assert api.raw("POST", "card/get", b"{").json()["errcode"] == 47001
    assert api.raw("POST", "card/get", b"[]").json()["errcode"] == 47001
    assert api.raw("POST", "card/get", b"\xff\xfe{}").json()["errcode"] == 47001
    assert api.raw("POST", "card/get", b'{"a": NaN}').json()["errcode"] == 47001
    assert api.raw("POST", "card/nothing", b"{}").json()["errcode"] == 40066


def test_unicode_escapes_are_refused(api):
    body = rb'{"card_id": "\u4e2d"}'
    assert api.raw("POST", "card/get", body).json()["errcode"] == 40033
    assert api.raw("POST", "cgi-bin/qrcode/create", body).json()["errcode"] == 47002
    escaped = rb'{"card_id": "\\u4e2d"}'
    assert api.raw("POST", "card/get", escaped).json()["errcode"] == 40073


def test_body_limit(api):
    answer = api.raw("POST", "card/get", b" " * (1024 * 1024 + 1))
    assert answer.status_code == 413


def test_tickets(api):
    card = api.get("cgi-bin/ticket/getticket", type="wx_card")
    jsapi = api.get("cgi-bin/ticket/getticket", type="jsapi")
    assert card["ticket"] != jsapi["ticket"]
    again = api.get("cgi-bin/ticket/getticket", type="wx_card")
    assert again["ticket"] == card["ticket"]
    assert 0 < again["expires_in"] <= 7200
    assert api.get("cgi-bin/ticket/getticket", type="other")["errcode"] == 40097


def test_addresses(api):
    assert api.get("cgi-bin/get_api_domain_ip")["ip_list"]
    assert api.get("cgi-bin/getcallbackip")["ip_list"]


def test_secrets_are_masked_in_the_log(box, api):
    token = api.login()
    stable(box, account := api.appid, SECRET)
    ticket = api.get("cgi-bin/ticket/getticket", type="wx_card")["ticket"]
    text = box.http.get(f"{box.url}/sandbox/log").text
    assert token not in text and SECRET not in text and ticket not in text
    assert account in text
