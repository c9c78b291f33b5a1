"""Template messages.

WeChat docs: cgi-bin/message/template/send, cgi-bin/template/api_add_template,
cgi-bin/template/get_all_private_template, cgi-bin/template/del_private_template.
"""

import re

from .errors import OaError
from .oa_core import Bare, OaCall, listing, mapping, route, text
from .wallet import user_of

SAME_MESSAGE_SECONDS = 600
MAX_TEMPLATES = 25
_PLACE = re.compile(r"\{\{(\w+)\.DATA\}\}")
_KEY = re.compile(r"([a-z_]+?)\d*\Z")
_DATE = re.compile(
    r"\d{4}(年|-|/|\.)\d{1,2}(月|-|/|\.)\d{1,2}日?( \d{1,2}:\d{2}(:\d{2})?)?"
)
_TIME = re.compile(r"(\d{4}.*)?\d{1,2}:\d{2}(:\d{2})?")
_AMOUNT = re.compile(r"[¥￥$€£]?\d{1,10}(\.\d+)?元?")
_NUMBER = re.compile(r"-?\d{1,32}(\.\d+)?")
_PHONE = re.compile(r"[\d+\-() ]{1,17}")

#: Value checks by the kind of the keyword.
CHECKS = {
    "thing": lambda value: len(value) <= 20,
    "phrase": lambda value: len(value) <= 5,
    "character_string": lambda value: len(value) <= 32 and value.isascii(),
    "letter": lambda value: len(value) <= 32 and value.isascii() and value.isalpha(),
    "symbol": lambda value: len(value) <= 5,
    "name": lambda value: len(value) <= (20 if value.isascii() else 10),
    "car_number": lambda value: len(value) <= 8,
    "number": lambda value: bool(_NUMBER.fullmatch(value)),
    "amount": lambda value: bool(_AMOUNT.fullmatch(value)),
    "phone_number": lambda value: bool(_PHONE.fullmatch(value)),
    "date": lambda value: bool(_DATE.fullmatch(value)),
    "time": lambda value: bool(_TIME.fullmatch(value)) or bool(_DATE.fullmatch(value)),
}


def _check_data(content: str, data: dict) -> None:
    """47003 for a keyword that is missing or does not fit its kind."""
    for key in _PLACE.findall(content):
        if key in ("first", "remark"):
            continue
        entry = data.get(key)
        value = entry.get("value") if isinstance(entry, dict) else None
        if not isinstance(value, str) or not value:
            raise OaError(47003, f"data.{key}.value is empty")
        match = _KEY.match(key)
        check = CHECKS.get(match.group(1)) if match else None
        if check and not check(value):
            raise OaError(47003, f"data.{key}.value invalid")


@route("/cgi-bin/message/template/send")
def send_template(call: OaCall) -> dict:
    """WeChat docs: cgi-bin/message/template/send"""
    openid = text(call.data, "touser", required=40003)
    template_id = text(call.data, "template_id", required=40037)
    user_of(call.box, call.account, openid)
    template = call.account.templates.get(template_id)
    if template is None:
        raise OaError(40037)
    if openid not in call.account.subscribers:
        raise OaError(43004)
    _check_data(template, mapping(call.data, "data", required=47003))
    message_id = _store(call, openid)
    return {"msgid": message_id}


def _store(call: OaCall, openid: str) -> int:
    """Keep the message; the same client_msg_id within ten minutes sends one only."""
    now = call.box.clock.now()
    client_id = text(call.data, "client_msg_id", 64)
    key = f"{call.account.appid}|{openid}|{client_id}"
    known = call.state.messages.get(key) if client_id else None
    if known and known["time"] + SAME_MESSAGE_SECONDS > now:
        return known["msgid"]
    message_id = 200000000 + len(call.state.messages) + 1
    record = {"msgid": message_id, "time": now, "openid": openid, "body": call.data}
    record["appid"] = call.account.appid
    call.state.messages[key if client_id else f"#{message_id}"] = record
    call.box.outbox.send_event(
        call.account,
        "TEMPLATESENDJOBFINISH",
        openid,
        MsgID=message_id,
        Status="success",
    )
    return message_id


@route("/cgi-bin/template/api_add_template")
def add_template(call: OaCall) -> dict:
    """WeChat docs: cgi-bin/template/api_add_template"""
    short = text(call.data, "template_id_short", required=40037)
    names = listing(call.data, "keyword_name_list")
    if len(call.account.templates) >= MAX_TEMPLATES:
        raise OaError(45026)
    template_id = call.state.random_text(43)
    content = "".join(
        f"{name}: {{{{thing{i + 1}.DATA}}}}\n" for i, name in enumerate(names)
    )
    call.account.templates[template_id] = content or f"{short}: {{{{thing1.DATA}}}}"
    return {"template_id": template_id}


@route("/cgi-bin/template/get_all_private_template", "GET")
def all_templates(call: OaCall) -> dict:
    """WeChat docs: cgi-bin/template/get_all_private_template"""
    return Bare(
        template_list=[
            {
                "template_id": key,
                "title": key[:8],
                "primary_industry": "",
                "deputy_industry": "",
                "content": content,
                "example": "",
            }
            for key, content in call.account.templates.items()
        ]
    )


@route("/cgi-bin/template/del_private_template")
def delete_template(call: OaCall) -> dict:
    """WeChat docs: cgi-bin/template/del_private_template"""
    template_id = text(call.data, "template_id", required=40037)
    if call.account.templates.pop(template_id, None) is None:
        raise OaError(40037)
    return {}
