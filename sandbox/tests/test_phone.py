"""The phone page: what a person sees and does, in both languages."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from harness import Api, cash_card, member_card


@pytest.fixture
def code(box, card, user):
    return box.post(f"phone/{user}/receive", card_id=card)["code"]


def test_choose_and_add_a_person(browser):
    page = browser.get("/phone")
    assert "选择用户" in page and 'lang="zh-CN"' in page
    page = browser.post("/phone/users", nickname="<b>小明</b>")
    assert "<b>小明</b>" in page
    raw = browser.http.get(browser.url + "/phone").text
    assert "<b>小明" not in raw
    assert "Choose a person" in browser.get("/phone?lang=en")
    # The language stays until it is changed.
    assert "Choose a person" in browser.get("/phone")
    assert "选择用户" in browser.get("/phone?lang=zh")


def test_receive_on_the_phone(browser, box, card, user):
    assert "卡包是空的" in browser.get(f"/phone/{user}")
    page = browser.get(f"/phone/{user}/receive")
    assert f"/phone/{user}/receive/{card}" in page and "剩余 100 张" in page
    page = browser.get(f"/phone/{user}/receive/{card}")
    assert "领取到卡包" in page and "减 10 元" in page
    page = browser.post(f"/phone/{user}/receive/{card}?outer_str=poster")
    assert "已放入卡包" in page and "<svg" in page
    (code,) = box.get("state")["codes"]
    assert code["outer_str"] == "poster"
    assert "十元代金券" in browser.get(f"/phone/{user}")


def test_card_shows_its_code(browser, card, code, user):
    page = browser.get(f"/phone/{user}/card/{card}/{code}")
    assert f'data-code="{code}"' in page
    assert f"{code[:4]} {code[4:8]} {code[8:]}" in page
    assert page.count("<svg") == 2
    assert "向收银员出示" in page
    page = browser.get(f"/phone/{user}/card/{card}/{code}?lang=en")
    assert "Show this to the cashier" in page and "¥10 off" in page


@pytest.mark.parametrize(
    ("code_type", "pictures", "text"),
    [
        ("CODE_TYPE_TEXT", 0, True),
        ("CODE_TYPE_BARCODE", 2, True),
        ("CODE_TYPE_ONLY_QRCODE", 1, False),
        ("CODE_TYPE_ONLY_BARCODE", 1, False),
        ("CODE_TYPE_NONE", 0, False),
    ],
)
def test_code_types(browser, box, api, user, code_type, pictures, text):
    card = api.post("card/create", card=cash_card(code_type=code_type))["card_id"]
    box.post(f"cards/{card}/review", **{"pass": True})
    code = box.post(f"phone/{user}/receive", card_id=card)["code"]
    page = browser.get(f"/phone/{user}/card/{card}/{code}")
    assert page.count("<svg") == pictures
    assert (f'data-code="{code}"' in page) is text


def test_used_and_expired_cards_look_so(browser, box, api, card, code, user):
    api.post("card/code/consume", code=code)
    page = browser.get(f"/phone/{user}/card/{card}/{code}")
    assert "已使用" in page and 'data-state="CONSUMED"' in page and "<svg" not in page
    assert "已使用和已过期" in browser.get(f"/phone/{user}")
    other = box.post(f"phone/{user}/receive", card_id=card)["code"]
    box.post("clock", advance=40 * 86400)
    assert "已过期" in browser.get(f"/phone/{user}/card/{card}/{other}")


def test_give_and_accept(browser, box, card, code, user):
    friend = box.post("users", nickname="小红")["openid"]
    here = f"/phone/{user}/card/{card}/{code}"
    assert "小红" in browser.get(f"{here}/gift")
    assert "转赠中" in browser.post(f"{here}/gift", to_openid=friend)
    page = browser.get(f"/phone/{friend}")
    assert "小明 送给你一张卡券" in page
    gift = re.search(rf"/phone/{friend}/accept/(\w+)", page).group(0)
    assert "已放入卡包" in browser.post(gift)
    assert "卡券状态已改变" in browser.post(gift, status=409)
    assert box.code(code)["state"] == "GIFT_SUCC"
    assert code not in browser.get(f"/phone/{user}")


def test_take_back(browser, box, card, code, user):
    here = f"/phone/{user}/card/{card}/{code}"
    browser.post(f"{here}/gift", chat_room="1")
    assert "收回卡券" in browser.get(here)
    browser.post(f"{here}/take_back")
    assert box.code(code)["state"] == "NORMAL"


def test_delete(browser, box, card, code, user):
    browser.post(f"/phone/{user}/card/{card}/{code}/delete")
    assert box.code(code)["state"] == "DELETE"
    assert "卡包是空的" in browser.get(f"/phone/{user}")


def test_self_redemption(browser, box, api, card, code, user):
    here = f"/phone/{user}/card/{card}/{code}"
    browser.post(f"{here}/self_consume", status=409)
    cell = dict.fromkeys(("is_open", "need_verify_cod", "need_remark_amount"), True)
    api.post("card/selfconsumecell/set", card_id=card, **cell)
    assert "自助核销" in browser.get(here)
    assert "已使用" in browser.post(f"{here}/self_consume")


def test_wrong_people_see_nothing(browser, box, card, code):
    other = box.post("users", nickname="b")["openid"]
    browser.get(f"/phone/{other}/card/{card}/{code}", status=409)
    assert "选择用户" in browser.get("/phone/onobody")


def test_refusals_are_sentences(browser, box, api, user):
    card = api.post("card/create", card=cash_card())["card_id"]
    page = browser.get(f"/phone/{user}/receive/{card}")
    assert "卡券正在审核" in page and "领取到卡包" not in page
    browser.post(f"/phone/{user}/receive/{card}", status=409)
    page = browser.get(f"/phone/{user}/receive/{card}?lang=en")
    assert "In review" in page


def test_scanned_codes_lead_to_the_card(browser, box, api, card, user):
    reply = api.post(
        "card/qrcode/create",
        action_name="QR_CARD",
        action_info={"card": {"card_id": card, "outer_str": "q"}},
    )
    path = urlsplit(reply["url"]).path
    page = browser.get(path)
    assert "选择用户" in page and f"/phone/{user}/q/" in page
    browser.get(f"/phone/{user}")
    # Now this browser is that person's phone.
    page = browser.get(path)
    assert "领取到卡包" in page
    browser.post(f"/phone/{user}{path}")
    page = browser.post(f"/phone/{user}/scan", url=reply["show_qrcode_url"])
    assert "领取到卡包" in page
    assert "不是可以识别" in browser.post(f"/phone/{user}/scan", status=404, url="x")


def test_links_of_the_shop_get_the_encrypted_code(browser, box, api, user):
    card = api.post(
        "card/create",
        card=cash_card(
            center_title="立即使用",
            center_url="http://shop.example/use",
            custom_url_name="门店",
            custom_url="javascript:alert(1)",
        ),
    )["card_id"]
    box.post(f"cards/{card}/review", **{"pass": True})
    code = box.post(f"phone/{user}/receive", card_id=card)["code"]
    page = browser.get(f"/phone/{user}/card/{card}/{code}")
    assert "javascript" not in page
    link = re.search(r'http://shop\.example/use[^"]+', page).group(0)
    query = parse_qs(urlsplit(link).query)
    reply = api.post("card/code/decrypt", encrypt_code=query["encrypt_code"][0])
    assert reply["code"] == code and query["card_id"] == [card]


def test_member_card_page(browser, box, api, user):
    card = api.post("card/create", card=member_card())["card_id"]
    box.post(f"cards/{card}/review", **{"pass": True})
    code = box.post(f"phone/{user}/receive", card_id=card)["code"]
    page = browser.get(f"/phone/{user}/card/{card}/{code}")
    assert "会员卡" in page and "永久有效" in page


# -- web authorisation
AUTHORIZE = (
    "/connect/oauth2/authorize?appid={appid}&redirect_uri=http%3A%2F%2Fshop.example%2Fme"
    "&response_type=code&scope={scope}&state=s1"
)


def exchange(box, appid, code, **change):
    params = {
        "appid": appid,
        "secret": "s" * 32,
        "code": code,
        "grant_type": "authorization_code",
        **change,
    }
    return box.http.get(f"{box.url}/sns/oauth2/access_token", params=params).json()


def test_authorisation(browser, box, account, user):
    path = AUTHORIZE.format(appid=account, scope="snsapi_base")
    assert "小明" in browser.get(path)
    browser.get(f"/phone/{user}")
    answer = browser.http.get(browser.url + path, allow_redirects=False)
    assert answer.status_code == 302
    parts = urlsplit(answer.headers["Location"])
    assert parts.hostname == "shop.example"
    query = parse_qs(parts.query)
    assert query["state"] == ["s1"]
    code = query["code"][0]
    assert exchange(box, account, code, secret="x")["errcode"] == 40001
    assert exchange(box, account, "other")["errcode"] == 40029
    assert exchange(box, account, "")["errcode"] == 41008
    reply = exchange(box, account, code)
    assert reply["openid"] == user and "errcode" not in reply
    assert exchange(box, account, code)["errcode"] == 40163
    params = {"access_token": reply["access_token"], "openid": user}
    info = box.http.get(f"{box.url}/sns/userinfo", params=params).json()
    assert info["errcode"] == 48001
    # An authorisation token is no API token.
    params = {"access_token": reply["access_token"]}
    colours = box.http.get(f"{box.url}/card/getcolors", params=params).json()
    assert colours["errcode"] == 40001


def test_authorisation_by_choice(browser, box, account):
    guest = box.post("users", nickname="客", snapshot=True, unionid="u")["openid"]
    form = {
        "appid": account,
        "redirect_uri": "http://shop.example/me?a=1",
        "response_type": "code",
        "scope": "snsapi_userinfo",
        "state": "",
        "openid": guest,
    }
    answer = browser.http.post(
        browser.url + "/connect/oauth2/authorize", data=form, allow_redirects=False
    )
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["a"] == ["1"]
    reply = exchange(box, account, query["code"][0])
    assert reply["is_snapshotuser"] == 1 and reply["unionid"] == "u"
    params = {"access_token": reply["access_token"], "openid": guest}
    info = box.http.get(f"{box.url}/sns/userinfo", params=params).json()
    assert info["nickname"] == "客"


def test_authorisation_code_ends(box, browser, account, user):
    browser.get(f"/phone/{user}")
    path = AUTHORIZE.format(appid=account, scope="snsapi_base")
    answer = browser.http.get(browser.url + path, allow_redirects=False)
    code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
    box.post("clock", advance=301)
    assert exchange(box, account, code)["errcode"] == 42003


def test_authorisation_refusals(browser, box, account):
    path = AUTHORIZE.format(appid="wxunknown", scope="snsapi_base")
    assert "10013" in browser.get(path, status=400)
    path = AUTHORIZE.format(appid=account, scope="other")
    assert "10005" in browser.get(path, status=400)
    box.post("accounts", appid=account, oauth_domains=["other.example"])
    path = AUTHORIZE.format(appid=account, scope="snsapi_base")
    assert "10003" in browser.get(path, status=400)


def test_user_info(box, account, user):
    api = Api(box, account, "s" * 32)
    assert api.get("cgi-bin/user/info", openid=user)["subscribe"] == 0
    box.post(f"phone/{user}/subscribe", appid=account)
    assert api.get("cgi-bin/user/info", openid=user)["subscribe"] == 1
    assert api.get("cgi-bin/user/get")["data"]["openid"] == [user]
    assert api.get("cgi-bin/user/info", openid="x")["errcode"] == 40003
