"""Daily counters behind the datacube calls.  WeChat docs: datacube/getcardbizuininfo"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .state import Card

KINDS = ("view", "receive", "verify", "given", "expire")


def count_event(box: "Sandbox", card: "Card", kind: str, openid: str) -> None:
    """Count one event of one person for one card on today's Beijing date."""
    key = f"{box.clock.today()}|{card.card_id}"
    row = box.state.stats.setdefault(key, {"users": {}})
    row[kind] = row.get(kind, 0) + 1
    users = row["users"].setdefault(kind, {})
    users[openid] = users.get(openid, 0) + 1


def daily_row(box: "Sandbox", day: str, card_ids: set[str]) -> dict[str, Any]:
    """Return the counters of one day for some cards; users are counted once."""
    totals: dict[str, Any] = {}
    for kind in KINDS:
        people: set[str] = set()
        count = 0
        for card_id in card_ids:
            row = box.state.stats.get(f"{day}|{card_id}")
            if row:
                count += row.get(kind, 0)
                people.update(row["users"].get(kind, {}))
        totals[f"{kind}_cnt"] = count
        totals[f"{kind}_user"] = len(people)
    return totals
