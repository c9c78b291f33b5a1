"""Odoo's JSON-RPC as its own web client speaks it, with a session per person."""

import itertools

import requests


class RpcError(Exception):
    """Odoo's answer to a call that failed.

    :param str name: class of the server's exception, with its module
    """

    def __init__(self, error: dict):
        data = error.get("data") or {}
        self.name = data.get("name", "")
        super().__init__(data.get("message") or error.get("message"))


class Rpc:
    """One session of one person."""

    def __init__(self, url: str, database: str, login: str, password: str):
        self.url = url
        self.session = requests.Session()
        self.numbers = itertools.count(1)
        answer = self.post(
            "/web/session/authenticate",
            {"db": database, "login": login, "password": password},
        )
        self.uid = answer["uid"]
        self.context = {"lang": answer["user_context"].get("lang")}

    def post(self, path: str, params: dict, timeout: float = 60):
        """Call a JSON-RPC route and return its result.

        :raises RpcError: when the server answers with an error
        """
        answer = self.session.post(
            f"{self.url}{path}",
            json={
                "jsonrpc": "2.0",
                "method": "call",
                "id": next(self.numbers),
                "params": params,
            },
            timeout=timeout,
        )
        answer.raise_for_status()
        body = answer.json()
        if "error" in body:
            raise RpcError(body["error"])
        return body.get("result")

    def call(self, model: str, method: str, *args, timeout: float = 60, **kwargs):
        """Call a method of a model; the first argument of record methods is ids."""
        context = {**self.context, **kwargs.pop("context", {})}
        return self.post(
            f"/web/dataset/call_kw/{model}/{method}",
            {
                "model": model,
                "method": method,
                "args": list(args),
                "kwargs": {**kwargs, "context": context},
            },
            timeout,
        )

    def read(self, model: str, domain: list, fields: list[str], **kwargs) -> list[dict]:
        return self.call(model, "search_read", domain, fields, **kwargs)
