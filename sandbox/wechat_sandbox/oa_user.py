"""People: web authorisation and user information.

WeChat docs: connect/oauth2/authorize, sns/oauth2/access_token, sns/userinfo,
cgi-bin/user/info, cgi-bin/user/get.
"""

from typing import TYPE_CHECKING, Any

from .errors import OaError
from .oa_core import Bare, OaCall, route
from .wallet import user_of

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .state import Account

CODE_LIFE = 300
TOKEN_LIFE = 7200
KEEP_USED = 3600
SCOPES = ("snsapi_base", "snsapi_userinfo")


def new_oauth_code(box: "Sandbox", account: "Account", openid: str, scope: str) -> str:
    """Make the single-use code that a phone brings to the redirect address."""
    now = box.clock.now()
    codes = box.state.oauth_codes
    for key in [k for k, v in codes.items() if v["expires"] + KEEP_USED < now]:
        del codes[key]
    code = box.state.random_text(32)
    codes[code] = {
        "appid": account.appid,
        "openid": openid,
        "scope": scope,
        "expires": now + CODE_LIFE,
        "used": False,
    }
    box.state.touch()
    return code


@route("/sns/oauth2/access_token", "GET", token=False)
def oauth_access_token(call: OaCall) -> dict:
    """Exchange a code for an openid.  WeChat docs: sns/oauth2/access_token"""
    query = call.query
    if query.get("grant_type") != "authorization_code":
        raise OaError(40002)
    if not query.get("appid"):
        raise OaError(41002)
    if not query.get("secret"):
        raise OaError(41004)
    if not query.get("code"):
        raise OaError(41008)
    account = call.state.accounts.get(query["appid"])
    if account is None:
        raise OaError(40013)
    if account.secret != query["secret"]:
        raise OaError(40001, "invalid appsecret")
    entry = call.state.oauth_codes.get(query["code"])
    if entry is None or entry["appid"] != account.appid:
        raise OaError(40029)
    if entry["used"]:
        raise OaError(40163)
    if entry["expires"] < call.box.clock.now():
        raise OaError(42003)
    entry["used"] = True
    entry["token"] = call.state.random_text(107)
    entry["token_expires"] = call.box.clock.now() + TOKEN_LIFE
    call.state.touch()
    return _token_answer(call, entry)


def _token_answer(call: OaCall, entry: dict[str, Any]) -> dict:
    user = call.state.users.get(entry["openid"])
    reply = Bare(
        access_token=entry["token"],
        expires_in=TOKEN_LIFE,
        refresh_token=call.state.random_text(107),
        openid=entry["openid"],
        scope=entry["scope"],
    )
    if user and user.unionid:
        reply["unionid"] = user.unionid
    if user and user.snapshot:
        reply["is_snapshotuser"] = 1
    return reply


@route("/sns/userinfo", "GET", token=False)
def oauth_user_info(call: OaCall) -> dict:
    """WeChat docs: sns/userinfo"""
    value = call.query.get("access_token")
    if not value:
        raise OaError(41001)
    for entry in call.state.oauth_codes.values():
        if entry.get("token") == value:
            break
    else:
        raise OaError(40001)
    if entry["token_expires"] < call.box.clock.now():
        raise OaError(42001)
    if entry["openid"] != call.query.get("openid"):
        raise OaError(40003)
    if entry["scope"] != "snsapi_userinfo":
        raise OaError(48001)
    user = call.state.users[entry["openid"]]
    reply = Bare(
        openid=user.openid,
        nickname=user.nickname,
        sex=0,
        province="",
        city="",
        country="",
        headimgurl="",
        privilege=[],
    )
    if user.unionid:
        reply["unionid"] = user.unionid
    return reply


@route("/cgi-bin/user/info", "GET")
def user_info(call: OaCall) -> dict:
    """WeChat docs: cgi-bin/user/info"""
    openid = call.query.get("openid", "")
    user = user_of(call.box, call.account, openid)
    since = call.account.subscribers.get(openid)
    reply = Bare(subscribe=int(since is not None), openid=openid)
    if since is not None:
        reply.update(
            language="zh_CN",
            subscribe_time=since,
            remark="",
            groupid=0,
            tagid_list=[],
            subscribe_scene="ADD_SCENE_QR_CODE",
            qr_scene=0,
            qr_scene_str="",
        )
        if user.unionid:
            reply["unionid"] = user.unionid
    return reply


@route("/cgi-bin/user/get", "GET")
def user_list(call: OaCall) -> dict:
    """WeChat docs: cgi-bin/user/get"""
    everyone = list(call.account.subscribers)
    start = call.query.get("next_openid", "")
    if start:
        if start not in call.account.subscribers:
            raise OaError(40003)
        everyone = everyone[everyone.index(start) + 1 :]
    page = everyone[:10000]
    reply = Bare(total=len(call.account.subscribers), count=len(page))
    if page:
        reply["data"] = {"openid": page}
    reply["next_openid"] = page[-1] if page else ""
    return reply
