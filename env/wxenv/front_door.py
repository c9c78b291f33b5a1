"""A small reverse proxy: pages to Odoo's workers, web sockets to its gevent port.

Usage: front_door.py PORT ODOO_PORT GEVENT_PORT. It listens on 127.0.0.1 only.
"""

import asyncio
import sys

import aiohttp
from aiohttp import web

HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "content-encoding",
}


class Door:
    def __init__(self, odoo_port: int, gevent_port: int):
        self.pages = f"http://127.0.0.1:{odoo_port}"
        self.sockets = f"http://127.0.0.1:{gevent_port}"
        self.session = None

    async def open(self, _app) -> None:
        self.session = aiohttp.ClientSession(
            auto_decompress=True,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=600),
            connector=aiohttp.TCPConnector(limit=0),
        )

    async def close(self, _app) -> None:
        await self.session.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/websocket") and "Upgrade" in request.headers:
            return await self._socket(request)
        return await self._page(request)

    def _headers(self, request: web.Request) -> dict:
        kept = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
        return {
            **kept,
            "X-Forwarded-For": request.remote or "127.0.0.1",
            "X-Forwarded-Proto": "http",
            "X-Forwarded-Host": request.host,
        }

    async def _page(self, request: web.Request) -> web.StreamResponse:
        try:
            async with self.session.request(
                request.method,
                self.pages + request.raw_path,
                headers=self._headers(request),
                data=await request.read(),
                allow_redirects=False,
            ) as answer:
                headers = [
                    (k, v)
                    for k, v in answer.headers.items()
                    if k.lower() not in HOP_BY_HOP
                ]
                body = await answer.read()
        except aiohttp.ClientError:
            return web.Response(status=502, text="Odoo does not answer.")
        response = web.Response(status=answer.status, body=body)
        response.headers.clear()
        for key, value in headers:
            response.headers.add(key, value)
        return response

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        near = web.WebSocketResponse()
        headers = {
            k: v
            for k, v in self._headers(request).items()
            if not k.lower().startswith("sec-websocket")
        }
        try:
            async with self.session.ws_connect(
                self.sockets + request.raw_path, headers=headers
            ) as far:
                await near.prepare(request)
                pumps = (_pump(near, far), _pump(far, near))
                tasks = [asyncio.ensure_future(pump) for pump in pumps]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()
                await near.close()
        except aiohttp.ClientError:
            return web.Response(status=502, text="Odoo's web socket does not answer.")
        return near


async def _pump(source, target) -> None:
    async for message in source:
        if message.type == aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type == aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)


def main() -> None:
    port, odoo_port, gevent_port = (int(value) for value in sys.argv[1:4])
    door = Door(odoo_port, gevent_port)
    app = web.Application(client_max_size=256 * 1024**2)
    app.on_startup.append(door.open)
    app.on_cleanup.append(door.close)
    app.router.add_route("*", "/{path:.*}", door.handle)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main()
