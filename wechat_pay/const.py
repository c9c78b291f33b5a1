"""Facts about WeChat Pay's orders and refunds, and how patient we are with them."""

# Payments without an order that one run of the job looks at.
MAX_UNSAVED = 500

# States of a transaction that may still change by themselves.
OPEN_STATES: tuple[str, ...] = ("draft", "sending", "waiting", "unknown", "closing")

# Allowed changes of state. What is late is no exception: a payment that was given up
# may turn out to be paid, a refund that seemed done may come back.
TRANSITIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "payment": {
        "draft": ("sending", "cancelled"),
        "sending": (
            "waiting",
            "unknown",
            "closing",
            "done",
            "failed",
            "cancelled",
            "abnormal",
        ),
        "waiting": ("closing", "done", "failed", "cancelled", "abnormal"),
        "unknown": (
            "sending",
            "waiting",
            "closing",
            "done",
            "failed",
            "cancelled",
            "abnormal",
        ),
        "closing": ("done", "failed", "cancelled", "abnormal"),
        "failed": ("done", "abnormal"),
        "cancelled": ("done", "abnormal"),
        "abnormal": ("done", "failed", "cancelled"),
        "done": (),
    },
    "refund": {
        "draft": ("sending", "waiting", "done", "failed", "abnormal", "cancelled"),
        "sending": ("draft", "waiting", "unknown", "done", "failed", "abnormal"),
        "unknown": ("sending", "waiting", "done", "failed", "abnormal"),
        "waiting": ("done", "failed", "abnormal"),
        "abnormal": ("waiting", "done", "failed"),
        "failed": ("draft", "waiting", "done", "abnormal"),
        "done": ("failed", "abnormal"),
        "cancelled": (),
    },
}

# What WeChat calls the state of an order, and what it means for a payment that is
# not decided yet (contracts 5.5).
TRADE_STATES: dict[str, str] = {
    "SUCCESS": "done",
    "REFUND": "done",
    "NOTPAY": "waiting",
    "USERPAYING": "waiting",
    "ACCEPT": "waiting",
    "CLOSED": "cancelled",
    "REVOKED": "cancelled",
    "PAYERROR": "failed",
}
# The same for a refund (contracts 5.8).
REFUND_STATES: dict[str, str] = {
    "PROCESSING": "waiting",
    "SUCCESS": "done",
    "CLOSED": "failed",
    "ABNORMAL": "abnormal",
}

# Refusals that say: this number is known already, so ask what became of it.
NUMBER_KNOWN: tuple[str, ...] = (
    "OUT_TRADE_NO_USED",
    "ORDERPAID",
    "ORDER_PAID",
    "ORDER_CLOSED",
    "ORDERCLOSED",
    "ORDERREVERSED",
    "TRADE_STATE_ERROR",
    "RESOURCE_ALREADY_EXISTS",
)

# Refusals that no cashier can do anything about.
SETUP_CODES: tuple[str, ...] = (
    "config",
    "incomplete",
    "certificate",
    "NO_AUTH",
    "NOAUTH",
    "SIGN_ERROR",
    "SIGNERROR",
    "MCH_NOT_EXISTS",
    "MCHID_NOT_EXIST",
    "APPID_NOT_EXIST",
    "APPID_MCHID_NOT_MATCH",
)

# A payment code has to be answered within this many seconds, then it is reversed.
CODE_SECONDS = 45
# The APIv2 may not reverse earlier than this after the charge.
REVERSE_AFTER = {"v2": 15, "v3": 0}
# WeChat asks not to be asked more often.
QUERY_SECONDS = 5
# How long a QR code on the till's screen can be paid, and one on a web page.
QR_MINUTES = {"pos": 5, "web": 30}
# Seconds between questions about an order that waits for its customer.
POLL_SECONDS: tuple[int, ...] = (5, 5, 10, 10, 20, 30, 60)
# Seconds after which a payment that an order counts on, and that is still not paid,
# is left to people.
KEPT_SECONDS = 86400
# Seconds after which a payment whose order was never saved is shown to people.
NO_ORDER_SECONDS = 1800
# Seconds after which an order that ended unpaid is asked about once more each.
WATCH_SECONDS: tuple[int, ...] = (60, 600)
# Seconds until a refund is sent or asked about again.
REFUND_SECONDS: tuple[int, ...] = (5, 15, 60, 300, 1800, 7200, 21600)
# Seconds after which a row in ``sending`` whose caller is gone is asked about.
GRACE_SECONDS = 15
# Questions in vain after which a person is called.
HELP_AFTER = 8

# Calls per second and merchant, below WeChat's own limits (contracts 5.6 and 5.8).
RATES: dict[str, tuple[int, float]] = {
    "charge": (33, 1.0),
    "place": (100, 1.0),
    "query": (100, 1.0),
    "decide": (100, 1.0),
    "close": (33, 1.0),
    "refund": (100, 1.0),
    "query_refund": (100, 1.0),
}

MAX_REFUNDS = 50

# The web: what we take, and the payment method that Odoo's payment app knows.
SUPPORTED_CURRENCIES: tuple[str, ...] = ("CNY",)
DEFAULT_PAYMENT_METHOD_CODES: set[str] = {"wechat_pay"}
# Which merchants a provider in this state may use.
PROVIDER_ENVIRONMENTS: dict[str, str] = {"test": "sandbox", "enabled": "production"}
# What a payment or refund of ours means for Odoo's `payment.transaction`.
WEB_PAYMENT_STATES: dict[str, str] = {
    "failed": "error",
    "cancelled": "error",
    "abnormal": "error",
}
WEB_REFUND_STATES: dict[str, str] = {
    "waiting": "pending",
    "unknown": "pending",
    "abnormal": "pending",
    "done": "done",
    "failed": "error",
}
