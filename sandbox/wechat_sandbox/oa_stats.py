"""Card statistics.

WeChat docs: datacube/getcardbizuininfo, datacube/getcardcardinfo,
datacube/getcardmembercardinfo.
"""

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from .errors import OaError
from .oa_core import Bare, OaCall, integer, route, text
from .stats import daily_row

if TYPE_CHECKING:
    from .state import Card

MAX_DAYS = 62
TYPE_NUMBERS = {
    "DISCOUNT": 0,
    "CASH": 1,
    "GIFT": 2,
    "GENERAL_COUPON": 3,
    "GROUPON": 4,
}


def _day(call: OaCall, name: str) -> date:
    value = text(call.data, name, required=61500)
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise OaError(61500) from None
    if day.isoformat() != value:
        raise OaError(61500)
    return day


def _days(call: OaCall) -> list[str]:
    """Return the days asked for: at most 62, today not yet."""
    begin, end = _day(call, "begin_date"), _day(call, "end_date")
    today = date.fromisoformat(call.box.clock.today())
    if begin > end or (end - begin).days >= MAX_DAYS or end >= today:
        raise OaError(61501)
    count = (end - begin).days + 1
    return [(begin + timedelta(days=step)).isoformat() for step in range(count)]


def _cards(call: OaCall, member: bool = False) -> "list[Card]":
    if integer(call.data, "cond_source", required=True) not in (0, 1):
        raise OaError(40097, "cond_source")
    return [
        card
        for card in call.state.cards.values()
        if card.appid == call.account.appid
        and (card.card_type == "MEMBER_CARD") == member
    ]


@route("/datacube/getcardbizuininfo")
def overview(call: OaCall) -> dict:
    """Figures of all coupons by day.  WeChat docs: datacube/getcardbizuininfo"""
    days, ids = _days(call), {card.card_id for card in _cards(call)}
    rows = [{"ref_date": day, **daily_row(call.box, day, ids)} for day in days]
    return Bare(list=[row for row in rows if _any(row)])


def _any(row: dict[str, Any]) -> bool:
    return any(value for key, value in row.items() if key.endswith("_cnt"))


@route("/datacube/getcardcardinfo")
def by_card(call: OaCall) -> dict:
    """Figures by day and coupon.  WeChat docs: datacube/getcardcardinfo"""
    days, cards = _days(call), _cards(call)
    wanted = call.card(required=False)
    rows = []
    for day in days:
        for card in cards:
            if wanted and card is not wanted:
                continue
            row = daily_row(call.box, day, {card.card_id})
            if _any(row):
                number = TYPE_NUMBERS.get(card.card_type, 3)
                head = {"ref_date": day, "card_id": card.card_id, "card_type": number}
                rows.append({**head, **row})
    return Bare(list=rows)


@route("/datacube/getcardmembercardinfo")
def member_cards(call: OaCall) -> dict:
    """Figures of member cards by day.  WeChat docs: datacube/getcardmembercardinfo"""
    days = _days(call)
    ids = {card.card_id for card in _cards(call, member=True)}
    total = len({key[1] for key in call.state.received if key[0] in ids})
    rows = []
    for day in days:
        row = daily_row(call.box, day, ids)
        if _any(row):
            extra = {
                "active_user": 0,
                "total_user": total,
                "total_receive_user": total,
                "new_user": row["receive_user"],
            }
            rows.append({"ref_date": day, **row, **extra})
    return Bare(list=rows)
