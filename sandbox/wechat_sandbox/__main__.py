"""``python -m wechat_sandbox``: start the sandbox."""

import argparse
import asyncio
import contextlib
import json
import signal
from pathlib import Path

from aiohttp import web

from . import __version__
from .app import build_app
from .control import apply_seed
from .sandbox import Sandbox


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="wechat_sandbox", description="A strict stand-in for WeChat's servers."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8070, help="0 = any free port")
    parser.add_argument("--data", metavar="DIR", help="keep the state here")
    parser.add_argument(
        "--seed", metavar="FILE", help="accounts, cards … to start with"
    )
    parser.add_argument(
        "--time-scale",
        type=float,
        default=1.0,
        help="factor for the waiting times between callback retries",
    )
    parser.add_argument("--random-seed", type=int, help="make random values repeatable")
    parser.add_argument(
        "--public-url", default="", help="base URL to write into QR codes"
    )
    parser.add_argument(
        "--remote-control",
        action="store_true",
        help="let other machines use the control API (in a container)",
    )
    parser.add_argument("--version", action="version", version=__version__)
    return parser.parse_args(argv)


async def serve(args: argparse.Namespace) -> None:
    box = Sandbox(
        data=args.data,
        public_url=args.public_url,
        time_scale=args.time_scale,
        seed=args.random_seed,
        remote_control=args.remote_control,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGINT"):
        # Windows has no signal handlers in the loop; Ctrl-C works there anyway.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(getattr(signal, name), stop.set)
    runner = web.AppRunner(build_app(box), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    if args.seed:
        apply_seed(box, json.loads(Path(args.seed).read_text("utf-8")))
    site = web.TCPSite(runner, args.host, args.port, backlog=1024)
    await site.start()
    port = runner.addresses[0][1]
    host = f"[{args.host}]" if ":" in args.host else args.host
    print(f"WeChat sandbox at http://{host}:{port}/phone", flush=True)
    await stop.wait()
    await runner.cleanup()


def main(argv: list[str] | None = None) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(parse_args(argv)))


if __name__ == "__main__":
    main()
