"""Card review: cards start unverified and pass or fail later.

WeChat docs: "Event Push Messages: review event push".
"""

import asyncio
from typing import TYPE_CHECKING

from .errors import ControlError

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .state import Card

NOT_VERIFY = "CARD_STATUS_NOT_VERIFY"
VERIFY_OK = "CARD_STATUS_VERIFY_OK"
VERIFY_FAIL = "CARD_STATUS_VERIFY_FAIL"
DELETED = "CARD_STATUS_DELETE"
DISPATCH = "CARD_STATUS_DISPATCH"
STATUSES = {
    NOT_VERIFY,
    VERIFY_OK,
    VERIFY_FAIL,
    DELETED,
    DISPATCH,
    "CARD_STATUS_USER_DELETE",
    "CARD_STATUS_USER_DISPATCH",
}
#: Only such cards can be issued to everyone.
ISSUABLE = {VERIFY_OK, DISPATCH}


class Reviewer:
    """Passes cards after ``auto_review_seconds``, or when told to."""

    def __init__(self, box: "Sandbox") -> None:
        self.box = box
        self.timers: dict[str, asyncio.TimerHandle] = {}

    def clear(self) -> None:
        for timer in self.timers.values():
            timer.cancel()
        self.timers.clear()

    def resume(self) -> None:
        """Start the timers again after a restart or a change of the setting."""
        for card in self.box.state.cards.values():
            self.submit(card)

    def submit(self, card: "Card") -> None:
        """Queue a card for review."""
        seconds = self.box.state.settings["auto_review_seconds"]
        if card.status != NOT_VERIFY or seconds is None:
            return
        timer = self.timers.pop(card.card_id, None)
        if timer:
            timer.cancel()
        loop = asyncio.get_running_loop()
        self.timers[card.card_id] = loop.call_later(
            float(seconds), self._auto, card.card_id
        )

    def _auto(self, card_id: str) -> None:
        self.timers.pop(card_id, None)
        card = self.box.state.cards.get(card_id)
        if card and card.status == NOT_VERIFY:
            self.review(card, True)

    def review(self, card: "Card", passed: bool, reason: str = "") -> None:
        """Decide, and push card_pass_check or card_not_pass_check."""
        if card.status == DELETED:
            raise ControlError("the card is deleted", 409)
        account = self.box.state.accounts[card.appid]
        card.status = VERIFY_OK if passed else VERIFY_FAIL
        card.refuse_reason = "" if passed else reason
        self.box.state.touch()
        event = "card_pass_check" if passed else "card_not_pass_check"
        values = {"CardId": card.card_id, "RefuseReason": reason}
        self.box.outbox.send_event(account, event, account.admin_openid, **values)
