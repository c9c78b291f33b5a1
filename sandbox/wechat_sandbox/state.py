"""What the sandbox knows: plain records, their indexes, and the snapshot on disk.

All records hold JSON values only, so a snapshot is their fields as they are.
Everything happens in one asyncio thread and no handler awaits between its last check
and its last change, so each change is atomic.
"""

import json
import os
import random
import re
import tempfile
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .clock import Clock

# Of WeChat Pay, Alipay and UnionPay: WeChat gives no coupon such a code.
_PAYMENT_CODE = re.compile(r"1[0-5]\d{16}|(2[5-9]|30)\d{14,22}|62\d{17}", re.ASCII)

SNAPSHOT_VERSION = 1

#: Settings that the control API may change.
DEFAULT_SETTINGS: dict[str, Any] = {
    # None: a review waits for the control API; a number: passes by itself.
    "auto_review_seconds": None,
    # Factor for all waiting times of callback retries.
    "time_scale": 1.0,
    "callback_timeout": 5.0,
    "callback_concurrency": 8,
    # Does /card/update of visible fields put the card back into review?
    "update_needs_review": True,
    # What code/get with check_consume answers for a consumed code: 40127 or 40099.
    "consumed_errcode": 40127,
    # "present", "empty" or "absent"
    "associated_data": "present",
    "classic_token_quota": 2000,
    "pages_language": "zh",
    # Product coupons and their stocks: "pass" by themselves, "hold", or "reject".
    "product_review": "pass",
    # PRODUCT_COUPON for a brand and PRODUCT_COUPON_SP for a provider ("door"), or
    # one of the two prefixes for both.
    "product_event_prefix": "door",
    # Are USE and RETURN told too?  The providers' tables list SEND only.
    "product_use_callbacks": True,
    # What another use request of a used product coupon gets: 272755200 or 272756745.
    "product_used_number": 272755200,
    # Does every payment by code need the password, whatever the amount?
    "ask_password": False,
    # So many payments by code a day and person need no password; None: all of them.
    "free_payments": 10,
    # Is a refund done at once?  False: it waits for the control API.
    "auto_refund": False,
    # Partial refunds of one order must be this far apart.
    "refund_gap_seconds": 60,
    # Is the first call about a new stock of 商家券 STATEMENT_CREATING?
    "busifavor_creating": True,
    # PAY_RECEIPT_SUCCESS (true) or SUCCESS: how a subsidy's state is written.
    "subsidy_prefix": True,
}


#: Settings that take a few values only.
SETTING_CHOICES: dict[str, tuple] = {
    "product_review": ("pass", "hold", "reject"),
    "product_event_prefix": ("door", "PRODUCT_COUPON", "PRODUCT_COUPON_SP"),
    "product_used_number": (272755200, 272756745),
}


@dataclass
class Account:
    """An Official Account (or mini program) as its owner set it up."""

    appid: str
    secret: str = ""
    name: str = ""
    token: str = ""
    encoding_aes_key: str = ""
    original_id: str = ""
    callback_url: str = ""
    callback_mode: str = "plain"
    cdata_style: str = "tight"
    can_create_coupons: bool = False
    can_create_member_cards: bool = True
    can_create_general_cards: bool = False
    can_custom_code: bool = False
    can_balance: bool = False
    can_bonus: bool = True
    ip_whitelist: list | None = None
    oauth_domains: list | None = None
    templates: dict = field(default_factory=dict)
    admin_openid: str = ""
    # kept by the sandbox
    test_whitelist: list = field(default_factory=list)
    subscribers: dict = field(default_factory=dict)
    quota: dict = field(default_factory=dict)
    tickets: dict = field(default_factory=dict)


@dataclass
class Token:
    """An access token; ``expires`` is its natural end, ``dead_at`` an earlier one."""

    value: str
    appid: str
    kind: str
    issued: float
    expires: float
    dead_at: float | None = None


@dataclass
class Card:
    """A card or coupon batch, identified by ``card_id``."""

    card_id: str
    appid: str
    card_type: str
    body: dict
    status: str = "CARD_STATUS_NOT_VERIFY"
    quantity: int = 0
    total_quantity: int = 0
    created: int = 0
    updated: int = 0
    refuse_reason: str = ""
    deposit_order: list = field(default_factory=list)
    deposit_next: int = 0
    pay_cell: bool = False
    self_consume: dict = field(default_factory=dict)
    reminded: list = field(default_factory=list)

    @property
    def base_info(self) -> dict:
        return self.body["base_info"]

    @property
    def custom_code(self) -> bool:
        return bool(self.base_info.get("use_custom_code"))

    @property
    def deposit_mode(self) -> bool:
        mode = self.base_info.get("get_custom_code_mode")
        return mode == "GET_CUSTOM_CODE_MODE_DEPOSIT"


@dataclass
class Code:
    """One card in one person's wallet."""

    code: str
    card_id: str
    appid: str
    openid: str
    state: str = "NORMAL"
    begin: int = 0
    end: int = 0
    received: int = 0
    outer_str: str = ""
    outer_id: int = 0
    old_code: str = ""
    friend: str = ""
    by_gift: bool = False
    consumed_at: int = 0
    consume_count: int = 0
    consume_attempts: int = 0
    gift_to: str = ""
    gift_time: int = 0
    gift_id: str = ""
    marked_by: str = ""
    reason: str = ""
    hidden: bool = False


@dataclass
class User:
    """A person with a phone.  Without ``appid`` the openid is good for any account."""

    openid: str
    nickname: str
    appid: str = ""
    unionid: str = ""
    snapshot: bool = False


@dataclass
class Ticket:
    """A QR code made by card/qrcode/create or by qrcode/create."""

    ticket: str
    key: str
    appid: str
    kind: str
    cards: list = field(default_factory=list)
    scene: str = ""
    expires: float = 0
    used: bool = False


@dataclass
class Merchant:
    """A WeChat Pay merchant."""

    mchid: str
    appids: list = field(default_factory=list)
    #: whom a service provider collects for
    sub_mchids: list = field(default_factory=list)
    #: where notifications of product coupons go, and since when
    product_notify: dict = field(default_factory=dict)
    #: "disabled" or "restricted": nothing can be collected
    blocked: str = ""
    apiv3_key: str = ""
    apiv2_key: str = ""
    merchant_serial: str = ""
    merchant_public_key_pem: str = ""
    mode: str = "both"
    notify_url: str = ""
    #: 商家券: came before 2025-12-15; may hand out by the API
    can_busifavor: bool = True
    can_send_busifavor: bool = False
    #: what can be locked for 代金券 and paid as subsidies, in fen; None: enough
    balance: int | None = None
    public_key_id: str = ""
    last_serial: str = ""


@dataclass
class Brand:
    """A brand of its own: it signs for itself, with product coupons."""

    brand_id: str
    name: str = ""
    appids: list = field(default_factory=list)
    #: service providers whom the brand has authorised
    providers: list = field(default_factory=list)
    #: numbers of the brand's shops at WeChat
    stores: list = field(default_factory=list)
    apiv3_key: str = ""
    merchant_serial: str = ""
    merchant_public_key_pem: str = ""
    public_key_id: str = ""
    last_serial: str = ""
    #: where notifications of product coupons go, and since when
    product_notify: dict = field(default_factory=dict)

    @property
    def mchid(self) -> str:
        """Return what signs, under the name that merchants have for it."""
        return self.brand_id

    @property
    def notify_url(self) -> str:
        return self.product_notify.get("notify_url", "")

    @property
    def mode(self) -> str:
        """A brand has the public key and no platform certificate."""
        return "public_key"


#: What a product coupon leaves behind; older snapshots do not have it.
_PRODUCT_RECORDS = (
    "product_coupons",
    "product_stocks",
    "product_bundles",
    "product_codes",
    "product_wallets",
    "product_requests",
    "product_tokens",
    "pay_score_orders",
)

#: Plain dictionaries of the pay side that older snapshots do not have.
_PAY_RECORDS = (
    "refunds",
    "refund_ids",
    "vouchers",
    "pay_codes",
    "payers",
    "bills",
    "bill_changes",
    "busifavor",
    "favor",
)

_TABLES: dict[str, tuple[type, str]] = {
    "accounts": (Account, "appid"),
    "tokens": (Token, "value"),
    "cards": (Card, "card_id"),
    "users": (User, "openid"),
    "tickets": (Ticket, "ticket"),
    "merchants": (Merchant, "mchid"),
    "brands": (Brand, "brand_id"),
}


class State:
    """All records, with the indexes that make every look-up constant time."""

    product_coupons: dict[str, dict]
    product_stocks: dict[str, dict]
    product_bundles: dict[str, dict]
    #: coupons of people, by stock and code
    product_codes: dict[str, dict]
    product_wallets: dict[str, list]
    product_requests: dict[str, dict]
    product_tokens: dict[str, dict]
    pay_score_orders: dict[str, dict]

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        # Nothing here guards anything real; a fast generator will do.
        self.rng = random.Random()
        self.platform: dict[str, Any] = {}
        self.dirty = False
        self.clear()

    def clear(self, keep_accounts: bool = False) -> None:
        """Forget everything (but the platform keys, which are slow to make)."""
        if keep_accounts:
            for account in self.accounts.values():
                account.test_whitelist = []
                account.subscribers = {}
                account.quota = {}
                account.tickets = {}
        else:
            self.accounts: dict[str, Account] = {}
            self.merchants: dict[str, Merchant] = {}
            self.brands: dict[str, Brand] = {}
        self.tokens: dict[str, Token] = {}
        self.cards: dict[str, Card] = {}
        self.users: dict[str, User] = {}
        self.tickets: dict[str, Ticket] = {}
        self.ticket_keys: dict[str, str] = {}
        self.codes: dict[tuple[str, str], Code] = {}
        self.account_codes: dict[tuple[str, str], list[Code]] = {}
        self.wallets: dict[str, list[Code]] = {}
        self.received: dict[tuple[str, str], int] = {}
        self.used: dict[tuple[str, str], int] = {}
        self.gifts: dict[str, Code] = {}
        self._deposited: dict[str, set[str]] = {}
        self.images: dict[str, str] = {}
        self.pages: dict[str, dict] = {}
        self.oauth_codes: dict[str, dict] = {}
        self.messages: dict[str, dict] = {}
        self.stats: dict[str, dict] = {}
        for name in _PRODUCT_RECORDS:
            setattr(self, name, {})
        self.orders: dict[str, dict] = {}
        self.transactions: dict[str, str] = {}
        self.refunds: dict[str, dict] = {}
        self.refund_ids: dict[str, str] = {}
        self.vouchers: dict[str, list] = {}
        self.pay_codes: dict[str, dict] = {}
        self.payers: dict[str, dict] = {}
        self.bills: dict[str, dict] = {}
        self.bill_changes: dict[str, list] = {}
        self.busifavor: dict[str, dict] = {}
        self.favor: dict[str, dict] = {}
        self.extra: dict[str, Any] = {}
        self.settings: dict[str, Any] = dict(DEFAULT_SETTINGS)
        self.touch()

    def touch(self) -> None:
        """Say that a snapshot is due."""
        self.dirty = True

    # -- codes --------------------------------------------------
    def add_code(self, code: Code) -> None:
        self.codes[code.card_id, code.code] = code
        self.account_codes.setdefault((code.appid, code.code), []).append(code)
        self.wallets.setdefault(code.openid, []).append(code)
        if code.state == "GIFTING":
            self.gifts[code.gift_id] = code
        self.touch()

    def rename_code(self, code: Code, new: str) -> None:
        del self.codes[code.card_id, code.code]
        self.account_codes[code.appid, code.code].remove(code)
        code.code = new
        self.codes[code.card_id, new] = code
        self.account_codes.setdefault((code.appid, new), []).append(code)
        self.touch()

    def move_code(self, code: Code, openid: str) -> None:
        self.wallets[code.openid].remove(code)
        code.openid = openid
        self.wallets.setdefault(openid, []).append(code)
        self.touch()

    def deposited_codes(self, card: Card) -> set[str]:
        """Return the set of codes that were imported for a card."""
        known = self._deposited.get(card.card_id)
        if known is None:
            known = self._deposited[card.card_id] = set(card.deposit_order)
        return known

    def code_taken(self, appid: str, code: str) -> bool:
        return bool(self.account_codes.get((appid, code)))

    # -- random values --------------------------------------------------
    def seed(self, value: int | None) -> None:
        """Make all random values repeatable (or not, with ``None``)."""
        self.rng = random.Random(value)

    def random_text(self, length: int, alphabet: str = "") -> str:
        letters = alphabet or (
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        )
        return "".join(self.rng.choices(letters, k=length))

    def random_digits(self, length: int) -> str:
        return "".join(self.rng.choices("0123456789", k=length))

    def coupon_digits(self, length: int) -> str:
        """Return digits for a coupon's code that no till takes for a payment code."""
        while True:
            code = self.random_digits(length)
            if not _PAYMENT_CODE.fullmatch(code):
                return code

    def new_code(self, appid: str) -> str:
        """Return a 12-digit code that the account does not use yet."""
        while True:
            code = self.random_digits(12)
            if not self.code_taken(appid, code):
                return code

    # -- snapshot --------------------------------------------------
    def dump(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "version": SNAPSHOT_VERSION,
            "clock_offset": self.clock.offset,
            "platform": self.platform,
            "settings": self.settings,
            "images": self.images,
            "pages": self.pages,
            "oauth_codes": self.oauth_codes,
            "messages": self.messages,
            "stats": self.stats,
            "orders": self.orders,
            "transactions": self.transactions,
            "extra": self.extra,
            **{name: getattr(self, name) for name in _PAY_RECORDS},
            **{name: getattr(self, name) for name in _PRODUCT_RECORDS},
            "code_fields": [item.name for item in fields(Code)],
            "codes": [list(vars(code).values()) for code in self.codes.values()],
            "received": [[*key, count] for key, count in self.received.items()],
            "used": [[*key, count] for key, count in self.used.items()],
        }
        for name in _TABLES:
            data[name] = [vars(record) for record in getattr(self, name).values()]
        return data

    def load(self, data: dict[str, Any]) -> None:
        if data.get("version") != SNAPSHOT_VERSION:
            raise ValueError("this snapshot was written by another version")
        self.clear()
        self.clock.offset = data["clock_offset"]
        for name in (
            "platform",
            "images",
            "pages",
            "oauth_codes",
            "messages",
            "stats",
            "orders",
            "transactions",
            "extra",
        ):
            setattr(self, name, data[name])
        for name in _PAY_RECORDS + _PRODUCT_RECORDS:
            setattr(self, name, data.get(name, {}))
        for order in self.orders.values():
            _complete_order(order)
        self.settings.update(data["settings"])
        for name, (model, key) in _TABLES.items():
            known = {item.name for item in fields(model)}
            table = getattr(self, name)
            for values in data.get(name, []):
                record = model(**{k: v for k, v in values.items() if k in known})
                table[getattr(record, key)] = record
        names = data["code_fields"]
        for values in data["codes"]:
            self.add_code(Code(**dict(zip(names, values, strict=True))))
        self.received = {(a, b): count for a, b, count in data["received"]}
        self.used = {(a, b): count for a, b, count in data["used"]}
        self.ticket_keys = {t.key: t.ticket for t in self.tickets.values()}
        self.dirty = False


def _complete_order(order: dict[str, Any]) -> None:
    """Add what orders in older snapshots do not have."""
    order.setdefault("link_expires", order["expires"])
    if not order["transaction_id"]:
        return
    free = 0
    for item in order["promotion_detail"]:
        kind = item.setdefault("type", "NOCASH")
        item.setdefault("coupon_id", "0")
        free += item["amount"] if kind == "NOCASH" else 0
    order.setdefault("settlement_total", order["request"]["amount"]["total"] - free)


class Storage:
    """The ``--data`` directory: one JSON snapshot, replaced atomically."""

    def __init__(self, directory: str | Path) -> None:
        self.path = Path(directory) / "sandbox.json"
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def read(self) -> dict[str, Any] | None:
        try:
            return json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return None

    def write(self, data: dict[str, Any]) -> None:
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".snapshot-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                # dumps, not dump: only the former is compiled, and ten times faster.
                stream.write(json.dumps(data, ensure_ascii=False))
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(name, self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
