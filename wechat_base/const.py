"""Facts about WeChat's servers, in one place."""

# Hosts that a production client may talk to; a sandbox account has its own.
OFFICIAL_HOSTS = ("api.weixin.qq.com", "api2.weixin.qq.com", "mp.weixin.qq.com")
OFFICIAL_URL = "https://api.weixin.qq.com"
PAY_URL = "https://api.mch.weixin.qq.com"
PAY_BACKUP_URL = "https://api2.mch.weixin.qq.com"

# Seconds to connect, and between two bytes of the answer.
TIMEOUT = 10.0
# No answer of these APIs comes near this; bills are fetched another way.
MAX_ANSWER_BYTES = 10 * 1024 * 1024

# A callback is a few kilobytes; WeChat's largest is far below this.
MAX_CALLBACK_BYTES = 256 * 1024

# Of a timestamp: ten digits last until 2286.
MAX_DIGITS = 12

# Buttons on forms count this far.
MAX_COUNT = 10000

# Seconds that a call waits for its turn (rate guard): in a request of a till or a
# person, whose worker others need, and in a job.
TILL_PATIENCE = 0.3
JOB_PATIENCE = 2.0
# Seconds that all calls to WeChat of one request of a till take: its worker serves
# the other tills as well, and what is not finished by then goes on in a job.
TILL_SECONDS = 6.0

# A token is renewed this many seconds before WeChat lets it go.
TOKEN_MARGIN = 120

# Seconds that a call waits for another worker that is fetching a token, and that
# nobody tries again after WeChat could not be reached for one.
TOKEN_PATIENCE = 5.0
TOKEN_PAUSE = 5

# What WeChat answers when the access token is the trouble, not the call.
TOKEN_ERRORS: tuple[int, ...] = (40001, 40014, 42001)

# Answers that an administrator can put right.
OFFICIAL_CONFIG_ERRORS: tuple[int, ...] = (
    40001,
    40013,
    40125,
    40164,
    41002,
    41004,
    48001,
    48004,
    50002,
    89503,
    89506,
    89507,
)

# Answers that say: nothing was done, try again later.
OFFICIAL_RETRY_ERRORS: tuple[int, ...] = (-1, 40014, 42001, 45009, 45011)

PAY_CONFIG_ERRORS: tuple[str, ...] = (
    "SIGN_ERROR",
    "NO_AUTH",
    "MCH_NOT_EXISTS",
    "APPID_MCHID_NOT_MATCH",
    "ACCOUNT_ERROR",
)
PAY_RETRY_ERRORS: tuple[str, ...] = (
    # What was made a moment ago is not everywhere yet (contracts 6.1).
    "STATEMENT_CREATING",
    "FREQUENCY_LIMITED",
    "FREQUENCY_LIMIT_EXCEED",
    "RATELIMIT_EXCEEDED",
)

# A WeChat Pay signature older or newer than this is refused.
PAY_MAX_SKEW = 300
# WeChat sends signatures that are meant to fail, to see that we check.
PAY_SIGNTEST_PREFIX = "WECHATPAY/SIGNTEST/"
