"""card/create and its refusals, card/get, update, stock, delete, QR codes."""

import copy
import time

import pytest
from harness import LOGO, base_info, cash_card, member_card

NOW = int(time.time())
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 100


def range_(begin, end):
    return {
        "type": "DATE_TYPE_FIX_TIME_RANGE",
        "begin_timestamp": begin,
        "end_timestamp": end,
    }


def term(days, begin=0, **extra):
    return {
        "type": "DATE_TYPE_FIX_TERM",
        "fixed_term": days,
        "fixed_begin_term": begin,
        **extra,
    }


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"logo_url": None}, 41011),
        ({"logo_url": "https://example.com/logo.png"}, 40141),
        ({"logo_url": "http://mmbiz.qpic.cn.example.com/a"}, 40141),
        ({"brand_name": None}, 41011),
        ({"brand_name": "十三个汉字的商户名称太长了"}, 45021),
        ({"title": "十个汉字的卡券标题吧"}, 45021),
        ({"title": 9}, 47001),
        ({"notice": "字" * 17}, 45021),
        ({"description": "字" * 1025}, 45021),
        ({"service_phone": "1" * 25}, 45021),
        ({"center_title": "七个汉字的标题"}, 45021),
        ({"custom_url_name": "六个汉字标题"}, 45021),
        ({"code_type": "CODE_TYPE_OTHER"}, 40072),
        ({"code_type": None}, 41011),
        ({"color": "Color011"}, 40076),
        ({"color": "#63b359"}, 40076),
        ({"sku": None}, 40070),
        ({"sku": {}}, 40070),
        ({"sku": {"quantity": 0}}, 40122),
        ({"sku": {"quantity": -1}}, 40122),
        ({"sku": {"quantity": 100000001}}, 40122),
        ({"sku": {"quantity": "100"}}, 47001),
        ({"sku": {"quantity": True}}, 47001),
        ({"get_limit": 51}, 72009),
        ({"get_limit": 0}, 40150),
        ({"date_info": None}, 41011),
        ({"date_info": {"type": "OTHER"}}, 40079),
        ({"date_info": {"type": "DATE_TYPE_PERMANENT"}}, 40079),
        ({"date_info": range_(NOW, NOW - 10)}, 40079),
        ({"date_info": range_(NOW - 100, NOW - 50)}, 40079),
        ({"date_info": term(0)}, 40079),
        ({"date_info": term(3, -1)}, 40079),
        ({"date_info": term(3, end_timestamp=NOW - 5)}, 40079),
        ({"get_custom_code_mode": "GET_CUSTOM_CODE_MODE_DEPOSIT"}, 40150),
        (
            {
                "use_custom_code": True,
                "get_custom_code_mode": "GET_CUSTOM_CODE_MODE_DEPOSIT",
            },
            40122,
        ),
        ({"location_id_list": [1], "use_all_locations": True}, 40150),
        ({"can_share": "yes"}, 47001),
    ],
)
def test_base_info_refusals(api, change, errcode):
    assert api.post("card/create", card=cash_card(**change))["errcode"] == errcode


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"brand_name": "字" * 12}, 0),
        ({"title": "字" * 9}, 0),
        ({"notice": "字" * 16}, 0),
        ({"sku": {"quantity": 100000000}}, 0),
        ({"get_limit": 50}, 0),
        ({"date_info": term(1)}, 0),
        ({"date_info": {**range_(NOW, NOW + 99), "type": 1}}, 0),
    ],
)
def test_limits_are_exact(api, change, errcode):
    assert api.post("card/create", card=cash_card(**change))["errcode"] == errcode


@pytest.mark.parametrize(
    ("card", "errcode"),
    [
        (cash_card(reduce_cost=99), 72007),
        (cash_card(reduce_cost=100), 0),
        (cash_card(least_cost=1000, reduce_cost=1000), 72008),
        (cash_card(least_cost=1001, reduce_cost=1000), 0),
        (cash_card(reduce_cost="1000"), 47001),
        ({"card_type": "OTHER"}, 40071),
        ({"card_type": "CASH"}, 41011),
        ({"card_type": "CASH", "cash": {}}, 41011),
        ({"card_type": "DISCOUNT", "discount": {"base_info": base_info()}}, 41011),
        (
            {
                "card_type": "DISCOUNT",
                "discount": {"base_info": base_info(), "discount": 100},
            },
            40150,
        ),
        (
            {
                "card_type": "DISCOUNT",
                "discount": {"base_info": base_info(), "discount": 30},
            },
            0,
        ),
        ({"card_type": "GROUPON", "groupon": {"base_info": base_info()}}, 41011),
        (
            {
                "card_type": "GIFT",
                "gift": {"base_info": base_info(), "gift": "礼" * 1025},
            },
            45021,
        ),
        (
            {
                "card_type": "GENERAL_COUPON",
                "general_coupon": {
                    "base_info": base_info(),
                    "default_detail": "优惠",
                },
            },
            40150,
        ),
        (member_card(), 0),
        (member_card(supply_bonus=None), 41011),
        (member_card(prerogative=None), 41011),
        (member_card(wx_activate=True, activate_url="http://example.com"), 40150),
        (
            member_card(
                supply_balance=True,
                custom_field1={"name_type": "FIELD_NAME_TYPE_LEVEL"},
                custom_field2={"name_type": "FIELD_NAME_TYPE_COUPON"},
            ),
            40124,
        ),
    ],
)
def test_type_fields(api, card, errcode):
    assert api.post("card/create", card=card)["errcode"] == errcode


@pytest.mark.parametrize(
    ("advanced", "errcode"),
    [
        ({"abstract": {"abstract": "字" * 9}}, 45021),
        ({"abstract": {"abstract": "字", "icon_url_list": [LOGO, LOGO]}}, 45044),
        ({"business_service": ["BIZ_SERVICE_OTHER"]}, 40150),
        ({"time_limit": [{"type": "SOMEDAY"}]}, 40149),
        ({"time_limit": [{"type": "MONDAY", "begin_hour": 25}]}, 40149),
        ({"time_limit": [{"type": "MONDAY", "begin_hour": 9, "end_hour": 18}]}, 0),
    ],
)
def test_advanced_info(api, advanced, errcode):
    card = cash_card()
    card["cash"]["advanced_info"] = advanced
    assert api.post("card/create", card=card)["errcode"] == errcode


def test_permissions(box, api, account):
    box.post(
        "accounts",
        appid=account,
        can_create_coupons=False,
        can_custom_code=False,
        can_balance=False,
        can_bonus=False,
    )
    assert api.post("card/create", card=cash_card())["errcode"] == 48001
    assert api.post("card/create", card=member_card())["errcode"] == 43011
    plain = member_card(supply_bonus=False)
    assert api.post("card/create", card=plain)["errcode"] == 0
    balance = member_card(supply_bonus=False, supply_balance=True)
    assert api.post("card/create", card=balance)["errcode"] == 43010
    custom = member_card({"use_custom_code": True}, supply_bonus=False)
    assert api.post("card/create", card=custom)["errcode"] == 43009
    box.post("accounts", appid=account, can_create_member_cards=False)
    assert api.post("card/create", card=plain)["errcode"] == 72016
    # A coupon from before 2021 is there all the same.
    old = box.post("cards", appid=account, card=cash_card(), review="pass")
    shown = api.post("card/get", card_id=old["card_id"])["card"]
    assert shown["cash"]["base_info"]["status"] == "CARD_STATUS_VERIFY_OK"


def test_get_shows_hex_colour_and_stock(api):
    card_id = api.post("card/create", card=cash_card())["card_id"]
    shown = api.post("card/get", card_id=card_id)["card"]
    assert shown["card_type"] == "CASH"
    base = shown["cash"]["base_info"]
    assert base["id"] == card_id
    assert base["color"] == "#63b359"
    assert base["sku"] == {"quantity": 100, "total_quantity": 100}
    assert base["status"] == "CARD_STATUS_NOT_VERIFY"
    assert shown["cash"]["reduce_cost"] == 1000
    assert api.post("card/get", card_id="pnothing")["errcode"] == 40073
    assert api.post("card/get")["errcode"] == 41012


def test_cards_belong_to_their_account(box, api, card):
    from harness import Api

    box.post("accounts", appid="wxother", secret="o" * 32)
    other = Api(box, "wxother", "o" * 32)
    assert other.post("card/get", card_id=card)["errcode"] == 40073
    assert other.post("card/batchget", offset=0, count=50)["total_num"] == 0


def test_batchget(box, api):
    ids = [api.post("card/create", card=cash_card())["card_id"] for _ in range(3)]
    box.post(f"cards/{ids[0]}/review", **{"pass": True})
    api.post("card/delete", card_id=ids[1])
    reply = api.post("card/batchget", offset=0, count=50)
    assert reply["total_num"] == 2 and reply["card_id_list"] == [ids[0], ids[2]]
    reply = api.post("card/batchget", offset=1, count=1)
    assert reply["card_id_list"] == [ids[2]]
    passed = ["CARD_STATUS_VERIFY_OK"]
    reply = api.post("card/batchget", offset=0, count=9, status_list=passed)
    assert reply["card_id_list"] == [ids[0]]
    assert api.post("card/batchget", offset=0, count=51)["errcode"] == 45039
    assert api.post("card/batchget", count=5)["errcode"] == 41011


def test_update(box, api, card):
    def update(key="cash", **base):
        return api.post("card/update", card_id=card, **{key: {"base_info": base}})

    assert update(title="新标题")["errcode"] == 47001
    assert update(brand_name="新店名")["errcode"] == 47001
    assert update(sku={"quantity": 5})["errcode"] == 47001
    assert update("discount", notice="x")["errcode"] == 40071
    reply = api.post("card/update", card_id=card, cash={"reduce_cost": 1})
    assert reply["errcode"] == 47001
    assert update(get_limit=60)["errcode"] == 72009
    assert update(logo_url="http://example.com/a")["errcode"] == 40141
    quiet = update(get_limit=6)
    assert quiet["errcode"] == 0 and quiet["send_check"] is False
    loud = update(notice="新的提醒", color="Color020")
    assert loud["send_check"] is True
    base = api.post("card/get", card_id=card)["card"]["cash"]["base_info"]
    assert base["notice"] == "新的提醒" and base["color"] == "#2c9f67"
    assert base["status"] == "CARD_STATUS_NOT_VERIFY"


def test_update_may_only_widen_the_validity(api, card):
    shown = api.post("card/get", card_id=card)["card"]["cash"]["base_info"]
    old = shown["date_info"]

    def update(**change):
        dates = {**old, **change}
        body = {"base_info": {"date_info": dates}}
        return api.post("card/update", card_id=card, cash=body)["errcode"]

    assert update(end_timestamp=old["end_timestamp"] - 1) == 40100
    assert update(begin_timestamp=old["begin_timestamp"] + 1) == 40100
    assert update(type="DATE_TYPE_FIX_TERM", fixed_term=9) == 40100
    assert update(end_timestamp=old["end_timestamp"] + 86400) == 0
    shown = api.post("card/get", card_id=card)["card"]["cash"]["base_info"]
    assert shown["date_info"]["end_timestamp"] == old["end_timestamp"] + 86400


def test_points_cannot_be_taken_away(api):
    card_id = api.post("card/create", card=member_card())["card_id"]
    reply = api.post(
        "card/update", card_id=card_id, member_card={"supply_bonus": False}
    )
    assert reply["errcode"] == 40135


def test_modify_stock(api, card):
    def change(**values):
        return api.post("card/modifystock", card_id=card, **values)["errcode"]

    assert change(increase_stock_value=5) == 0
    assert change(reduce_stock_value=105) == 0
    assert change(reduce_stock_value=1) == 45031
    assert change(increase_stock_value=-1) == 40122
    assert change() == 40122
    assert change(increase_stock_value="5") == 47001
    assert change(increase_stock_value=100000001) == 45041


def test_delete_keeps_codes_usable(box, api, card, user):
    code = box.post(f"phone/{user}/receive", card_id=card)["code"]
    assert api.post("card/delete", card_id=card)["errcode"] == 0
    assert api.post("card/delete", card_id=card)["errcode"] == 40078
    refused = box.post(f"phone/{user}/receive", status=409, card_id=card)
    assert refused["errcode"] == 40078
    assert api.post("card/code/get", code=code)["can_consume"] is True
    assert api.post("card/code/consume", code=code)["errcode"] == 0


def test_upload_image(box, api):
    def upload(name, data):
        files = {name: ("logo.png", data, "image/png")}
        return api.raw("POST", "cgi-bin/media/uploadimg", files=files).json()

    url = upload("buffer", PNG)["url"]
    assert url.startswith("http://mmbiz.qpic.cn/")
    assert upload("media", PNG)["url"] == url
    assert upload("other", PNG)["errcode"] == 41005
    assert upload("buffer", b"GIF89a")["errcode"] == 40113
    assert upload("buffer", PNG + b"0" * 1024 * 1024)["errcode"] == 40009
    assert api.post("card/create", card=cash_card(logo_url=url))["errcode"] == 0


def qr(api, **card):
    options = {}
    for name in ("expire_seconds",):
        if name in card:
            options[name] = card.pop(name)
    return api.post(
        "card/qrcode/create",
        action_name="QR_CARD",
        action_info={"card": card},
        **options,
    )


def test_qrcode(box, api, card, user):
    reply = qr(api, card_id=card, outer_str="12b", expire_seconds=1800)
    assert reply["expire_seconds"] == 1800
    picture = box.http.get(reply["show_qrcode_url"])
    assert picture.headers["Content-Type"] == "image/png"
    assert box.http.get(reply["show_qrcode_url"] + "x").status_code == 404
    (code,) = box.post(f"phone/{user}/scan", url=reply["url"])["codes"]
    assert code["outer_str"] == "12b"
    got = api.post("card/code/get", code=code["code"])
    assert got["outer_str"] == "12b"
    assert qr(api, card_id=card)["expire_seconds"] == 365 * 86400
    box.post("clock", advance=1801)
    refused = box.post(f"phone/{user}/scan", status=409, url=reply["url"])
    assert refused["errcode"] == 40053


def test_qrcode_refusals(box, api, card, user):
    assert qr(api, card_id=card, expire_seconds=59)["errcode"] == 40053
    assert qr(api, card_id=card, expire_seconds=1801)["errcode"] == 40053
    assert qr(api)["errcode"] == 41012
    assert qr(api, card_id="pnothing")["errcode"] == 40073
    assert qr(api, card_id=card, code="123")["errcode"] == 40053
    assert qr(api, card_id=card, openid=user)["errcode"] == 40112
    other = api.post("card/qrcode/create", action_name="X", action_info={"card": {}})
    assert other["errcode"] == 40053
    fresh = api.post("card/create", card=cash_card())["card_id"]
    assert qr(api, card_id=fresh, is_unique_code=True)["errcode"] == 40078
    custom = api.post("card/create", card=cash_card(use_custom_code=True))["card_id"]
    assert qr(api, card_id=custom)["errcode"] == 41013
    bound = api.post("card/create", card=cash_card(bind_openid=True))["card_id"]
    assert qr(api, card_id=bound)["errcode"] == 40003
    assert qr(api, card_id=bound, openid=user)["errcode"] == 0


def test_unique_qrcode_works_once(box, api, card, user):
    reply = qr(api, card_id=card, is_unique_code=True)
    box.post(f"phone/{user}/scan", url=reply["url"])
    refused = box.post(f"phone/{user}/scan", status=409, url=reply["url"])
    assert refused["errcode"] == 40053


def test_multiple_qrcode(box, api, user):
    ids = [api.post("card/create", card=cash_card())["card_id"] for _ in range(2)]
    for card_id in ids:
        box.post(f"cards/{card_id}/review", **{"pass": True})
    items = [{"card_id": card_id} for card_id in ids]
    reply = api.post(
        "card/qrcode/create",
        action_name="QR_MULTIPLE_CARD",
        action_info={"multiple_card": {"card_list": items}},
    )
    codes = box.post(f"phone/{user}/scan", ticket=reply["ticket"])["codes"]
    assert [code["card_id"] for code in codes] == ids
    reply = api.post(
        "card/qrcode/create",
        action_name="QR_MULTIPLE_CARD",
        action_info={"multiple_card": {"card_list": items * 3}},
    )
    assert reply["errcode"] == 40053


def test_landing_page(box, api, card):
    body = {
        "banner": LOGO,
        "page_title": "优惠",
        "can_share": True,
        "scene": "SCENE_H5",
        "card_list": [{"card_id": card, "thumb_url": LOGO}],
    }
    reply = api.post("card/landingpage/create", **body)
    assert "十元代金券" in box.http.get(reply["url"]).text
    for name in body:
        less = copy.deepcopy(body)
        del less[name]
        assert api.post("card/landingpage/create", **less)["errcode"] == 41011
    assert api.post("card/landingpage/create", **{**body, "scene": "X"})["errcode"]
    assert card in api.post("card/mpnews/gethtml", card_id=card)["content"]


def test_cells(api, card):
    def pay(value):
        return api.post("card/paycell/set", card_id=card, is_open=value)["errcode"]

    def own(value):
        return api.post(
            "card/selfconsumecell/set",
            card_id=card,
            is_open=value,
            need_verify_cod=False,
            need_remark_amount=False,
        )["errcode"]

    assert pay(True) == 0
    assert own(True) == 45046
    center = {"base_info": {"center_title": "用", "center_url": "http://example.com"}}
    assert api.post("card/update", card_id=card, cash=center)["errcode"] == 40145
    assert pay(False) == 0 and own(True) == 0 and pay(True) == 45046
    assert api.post("card/update", card_id=card, cash=center)["errcode"] == 45046
    assert own(False) == 0
    assert api.post("card/update", card_id=card, cash=center)["errcode"] == 0
    assert pay(True) == 40145


def test_white_list(box, api, user):
    fresh = api.post("card/create", card=cash_card())["card_id"]
    refused = box.post(f"phone/{user}/receive", status=409, card_id=fresh)
    assert refused["errcode"] == 72022
    reply = api.post("card/testwhitelist/set", openid=[user], username=["nobody"])
    assert reply["white_list_size"] == 1
    box.post(f"phone/{user}/receive", card_id=fresh)
    assert api.post("card/testwhitelist/set", openid=["onobody"])["errcode"] == 40003
    many = ["n"] * 11
    assert api.post("card/testwhitelist/set", username=many)["errcode"] == 45039


def test_scene_qrcode(box, listening, api, user):
    def make(action, **scene):
        info = {"scene": scene}
        return api.post("cgi-bin/qrcode/create", action_name=action, action_info=info)

    assert make("QR_SCENE", scene_id=0)["errcode"] == 40053
    assert make("QR_LIMIT_SCENE", scene_id=100001)["errcode"] == 40053
    assert make("QR_STR_SCENE", scene_str="x" * 65)["errcode"] == 40053
    assert "expire_seconds" not in make("QR_LIMIT_STR_SCENE", scene_str="a")
    reply = make("QR_STR_SCENE", scene_str="shop1")
    assert reply["expire_seconds"] == 60
    first = box.post(f"phone/{user}/scan", ticket=reply["ticket"])
    second = box.post(f"phone/{user}/scan", url=reply["url"])
    assert (first["event"], second["event"]) == ("subscribe", "SCAN")
    box.wait_callbacks()
    events = {event["Event"]: event for event in listening.events()}
    assert events["subscribe"]["EventKey"] == "qrscene_shop1"
    assert events["SCAN"]["EventKey"] == "shop1"
    assert events["SCAN"]["Ticket"] == reply["ticket"]


def test_datacube(box, api, card, user):
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 8 * 3600))
    code = box.post(f"phone/{user}/receive", card_id=card)["code"]
    api.post("card/code/consume", code=code)

    def ask(path="getcardbizuininfo", begin=day, end=day, **extra):
        dates = {"begin_date": begin, "end_date": end, "cond_source": 1}
        return api.post(f"datacube/{path}", **dates, **extra)

    assert ask()["errcode"] == 61501
    box.post("clock", advance=86400)
    api.login()
    (row,) = ask()["list"]
    assert (row["receive_cnt"], row["verify_cnt"], row["verify_user"]) == (1, 1, 1)
    (row,) = ask("getcardcardinfo", card_id=card)["list"]
    assert (row["card_id"], row["card_type"]) == (card, 1)
    assert ask("getcardmembercardinfo")["list"] == []
    assert ask(begin="2026/01/01")["errcode"] == 61500
    assert ask(begin="2020-01-01", end="2020-03-02")["list"] == []
    assert ask(begin="2020-01-01", end="2020-03-03")["errcode"] == 61501
