"""The web application: one listener for all of WeChat's hosts.

The middleware does, in this order: size limits, faults, the call itself, the log.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from . import (  # noqa: F401  (each module registers its routes)
    control,
    control_coupon,
    control_pay,
    control_product,
    oa_card,
    oa_code,
    oa_core,
    oa_media,
    oa_message,
    oa_qrcode,
    oa_stats,
    oa_token,
    oa_user,
    pay_bill,
    pay_busifavor,
    pay_busifavor_coupon,
    pay_busifavor_list,
    pay_busifavor_use,
    pay_codepay,
    pay_core,
    pay_favor,
    pay_favor_coupon,
    pay_favor_flow,
    pay_marketing,
    pay_partner,
    pay_product_setup,
    pay_product_stock,
    pay_product_use,
    pay_product_user,
    pay_refund,
    pay_subsidy,
    pay_transactions,
    pay_v2,
    phone,
    phone_coupon,
    phone_pay,
    phone_product,
)
from .sandbox import Sandbox

MAX_BODY = 1024 * 1024
#: A 1 MB picture in its multipart wrapping, with room to say 40009 for a larger one.
MAX_UPLOAD = 3 * MAX_BODY
UPLOADS = ("/cgi-bin/media/uploadimg", "/v3/marketing/favor/media/image-upload")
HOLD_SECONDS = 30.0

OA_PREFIXES = ("/cgi-bin/", "/card/", "/datacube/", "/sns/")
OWN_PREFIXES = (
    *("/sandbox/", "/phone", "/static/", "/q/", "/connect/"),
    # The page of action.weixin.qq.com on which people receive 商家券.
    "/busifavor/",
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BOX: web.AppKey[Sandbox] = web.AppKey("box", Sandbox)


def build_app(box: Sandbox) -> web.Application:
    """Return the application that serves ``box``."""
    app = web.Application(client_max_size=MAX_UPLOAD, middlewares=[middleware])
    app[BOX] = box
    control.add_routes(app)
    phone.add_routes(app)
    app.router.add_route("*", "/{path:.*}", serve)

    async def life(_app: web.Application) -> Any:
        await box.start()
        yield
        await box.stop()

    app.cleanup_ctx.append(life)
    return app


async def serve(request: web.Request) -> web.StreamResponse:
    """Hand a request to the API that its path belongs to."""
    box = request.app[BOX]
    path = request.path
    if path.startswith(pay_core.PREFIXES):
        return await pay_core.dispatch(box, request)
    if path.startswith(pay_v2.PREFIXES):
        return await pay_v2.dispatch(box, request)
    if path.startswith(OA_PREFIXES):
        return await oa_core.dispatch(box, request)
    raise web.HTTPNotFound(text="not found")


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    path = request.path
    if path.startswith(OWN_PREFIXES) or path == "/":
        return await _own(request, handler)
    large = path in UPLOADS or path.endswith("/product-coupon/media/upload-image")
    limit = MAX_UPLOAD if large else MAX_BODY
    if (request.content_length or 0) > limit:
        return web.Response(status=413, text="request entity too large")
    started = time.time()
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        return web.Response(status=413, text="request entity too large")
    if len(body) > limit:
        return web.Response(status=413, text="request entity too large")
    box = request.app[BOX]
    fault = box.faults.take_request(request.method, request.host, path)
    response, hold = None, None
    if fault:
        response, hold = await _faulty(box, request, handler, fault)
    else:
        response = await _call(request, handler)
    # Written before a connection is held: what was committed can be seen at once.
    box.log.add(
        time=started,
        method=request.method,
        path=path,
        query=request.query_string,
        body=body,
        status=response.status if response is not None else None,
        response=getattr(response, "body", None),
        fault=fault["kind"] if fault else None,
        answered=hold is None,
        seconds=round(time.time() - started, 4),
    )
    if hold is None:
        return response
    await asyncio.sleep(hold)
    return _drop(request)


async def _own(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Serve the sandbox's own pages; refuse what another web site sends."""
    if request.method != "GET":
        origin = request.headers.get("Origin")
        if origin and origin.split("//")[-1] != request.host:
            raise web.HTTPForbidden(text="cross-origin request")
        if (request.content_length or 0) > MAX_BODY:
            return web.Response(status=413, text="request entity too large")
    return await handler(request)


async def _call(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return web.Response(status=error.status, text=error.text)


def _drop(request: web.Request) -> web.Response:
    """Cut the connection without an answer."""
    if request.transport:
        request.transport.abort()
    return web.Response()


async def _faulty(
    box: Sandbox, request: web.Request, handler: Handler, fault: dict[str, Any]
) -> tuple[web.StreamResponse | None, float | None]:
    """Let a request go wrong.

    :return: the answer, and how long to hold the connection before it is cut without
        an answer (None: the answer goes out)
    """
    kind = fault["kind"]
    seconds = float(fault.get("seconds") or 0)
    if kind == "drop_connection":
        return None, 0.0
    if kind == "timeout_before":
        return None, seconds or HOLD_SECONDS
    if kind == "timeout_after":
        # The change is made; only the answer is lost.
        return await _call(request, handler), seconds or HOLD_SECONDS
    if kind == "delay":
        await asyncio.sleep(seconds)
    if kind == "expire_token":
        _expire_tokens(box, request.query.get("access_token", ""))
    if kind in ("http_status", "errcode"):
        if fault.get("commit"):
            await _call(request, handler)
        if kind == "errcode" and request.path.startswith(pay_v2.PREFIXES):
            return pay_v2.fault_answer(box, await request.read(), fault), None
        return _answer(box, request, fault), None
    response = await _call(request, handler)
    if kind == "bad_signature" and request.path.startswith(pay_v2.PREFIXES):
        pay_v2.spoil(response)
    signature = response.headers.get("Wechatpay-Signature")
    if kind == "bad_signature" and signature:
        response.headers["Wechatpay-Signature"] = signature[::-1].replace("=", "A")
    return response, None


def _expire_tokens(box: Sandbox, value: str) -> None:
    """End the token of this call and its account's other ones (42001)."""
    used = box.state.tokens.get(value)
    for token in box.state.tokens.values():
        if used is None or token.appid == used.appid:
            token.expires = min(token.expires, box.clock.now())
    box.state.touch()


def _answer(
    box: Sandbox, request: web.Request, fault: dict[str, Any]
) -> web.StreamResponse:
    """Answer with the HTTP status or errcode that the fault asks for."""
    if fault["kind"] == "errcode":
        errcode = int(fault.get("errcode", -1))
        return oa_core.refusal(box, errcode, str(fault.get("errmsg") or ""))
    status = int(fault.get("status", 500))
    body = fault.get("body")
    if isinstance(body, str):
        return web.Response(status=status, text=body)
    if request.path.startswith(pay_core.PREFIXES):
        return pay_core.fault_answer(box, request, status, fault)
    text = json.dumps(body, ensure_ascii=False) if body is not None else ""
    return web.Response(status=status, text=text, content_type="application/json")
