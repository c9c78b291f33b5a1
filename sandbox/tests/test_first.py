def test_first(box, api, card, user):
    got = box.post(f"phone/{user}/receive", card_id=card)
    assert len(got["code"]) == 12
    reply = api.post("card/code/get", code=got["code"])
    assert reply["errcode"] == 0 and reply["can_consume"] is True, reply
    assert api.post("card/code/consume", code=got["code"])["openid"] == user
    assert api.post("card/code/consume", code=got["code"])["errcode"] == 40099
    assert box.code(got["code"])["consume_count"] == 1
    print(box.get("log"))
