"""The control side of the sandbox: what the tests may do and WeChat's people cannot."""

import requests


class Sandbox:
    def __init__(self, url: str):
        self.url = url

    def ask(self, method: str, path: str, /, **body):
        """Send a control call and return its JSON answer."""
        answer = requests.request(
            method, f"{self.url}/sandbox/{path}", json=body or None, timeout=30
        )
        if not answer.ok:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def user(self, nickname: str) -> str:
        """Add a WeChat user and return the openid."""
        return self.ask("POST", "users", nickname=nickname)["openid"]

    def receive(self, openid: str, card_id: str) -> str:
        """The user takes a card; returns its code."""
        return self.ask("POST", f"phone/{openid}/receive", card_id=card_id)["code"]

    def fault(self, path: str, kind: str, times: int = 1, **values) -> None:
        self.ask("POST", "faults", path=path, kind=kind, times=times, **values)

    def clear_faults(self) -> None:
        self.ask("DELETE", "faults")

    def log(self, path: str = "", since: int = 0) -> list[dict]:
        """The API calls the sandbox has seen, those to ``path`` if it is given."""
        entries = self.ask("GET", f"log?since={since}")
        if isinstance(entries, dict):
            entries = entries["entries"]
        return [entry for entry in entries if entry["path"].endswith(path)]

    def state(self) -> dict:
        return self.ask("GET", "state")
