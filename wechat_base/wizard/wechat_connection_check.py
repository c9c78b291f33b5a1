import secrets
import time
from datetime import timedelta, timezone
from email.utils import parsedate_to_datetime

import requests

from odoo import api, fields, models

from ..tools import callback, pay_crypto, transport
from ..tools.exceptions import (
    WechatConfigError,
    WechatError,
    WechatRefused,
    WechatUnavailable,
)

# WeChat Pay refuses what is more than five minutes off.
MAX_SKEW = 120
SELF_TIMEOUT = 5.0


class WechatConnectionCheck(models.TransientModel):
    """Test of a connection: one line for each thing that can be wrong."""

    _name = "wechat.connection.check"
    _description = "Connection Test"

    account_id = fields.Many2one("wechat.account", readonly=True, ondelete="cascade")
    merchant_id = fields.Many2one("wechat.merchant", readonly=True, ondelete="cascade")
    line_ids = fields.One2many(
        "wechat.connection.check.line", "check_id", readonly=True
    )
    verdict = fields.Selection(
        [("ok", "Good"), ("warning", "Look at it"), ("error", "Faulty")],
        compute="_compute_verdict",
    )

    @api.depends("line_ids.state")
    def _compute_verdict(self):
        for check in self:
            states = set(check.line_ids.mapped("state"))
            check.verdict = next(
                (state for state in ("error", "warning") if state in states), "ok"
            )

    # === ACTION METHODS === #

    @api.model
    def _open(self, account=None, merchant=None):
        """Run the checks and return the action that shows them."""
        check = self.create(
            {
                "account_id": account and account.id,
                "merchant_id": merchant and merchant.id,
            }
        )
        check._run()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Connection test"),
            "res_model": self._name,
            "res_id": check.id,
            "view_mode": "form",
            "target": "new",
        }

    def action_again(self):
        """Run the checks once more, in the same window."""
        self.check_access("write")
        self.ensure_one()
        self.account_id.check_access("write")
        self.merchant_id.check_access("write")
        return self._open(account=self.account_id, merchant=self.merchant_id)

    # === CHECKS === #

    def _run(self):
        self.ensure_one()
        if self.account_id:
            self._check_account()
        if self.merchant_id:
            self._check_merchant()

    def _add(self, name, state, detail="", advice=""):
        """Add a line.

        :param str name: what was checked
        :param str state: ``ok``, ``warning`` or ``error``
        :param str detail: what was found
        :param str advice: what to do next
        """
        self.line_ids.create(
            {
                "check_id": self.id,
                "name": name,
                "state": state,
                "detail": str(detail)[:500],
                "advice": str(advice)[:500],
            }
        )

    def _check_secret_key(self):
        state = self.env["wechat.secret.mixin"]._secret_key_state()
        self._add(
            self.env._("Key for secrets"),
            "ok" if state == "ok" else "error",
            self.env._("Fits") if state == "ok" else self.env._("Does not fit"),
            ""
            if state == "ok"
            else self.env._("See Settings, WeChat: it says how to restore the key."),
        )
        return state == "ok"

    # --- Official account ---

    def _check_account(self):
        account = self.account_id
        if not self._check_secret_key() or not self._check_enabled(account):
            return
        self._check_token(account)
        self._check_callback(account)
        self._check_last_event([("account_id", "=", account.id)])

    def _check_enabled(self, record):
        if record.environment != "disabled":
            return True
        self._add(
            self.env._("Environment"),
            "error",
            self.env._("Disabled"),
            self.env._("Choose “WeChat” or “Sandbox” on the form."),
        )
        return False

    def _check_token(self, account):
        name = self.env._("AppID and AppSecret")
        white_list = self.env._("IP white list")
        try:
            client = account._get_client()
            client._fetch_stable_token(force=False)
            self._add(name, "ok", self.env._("WeChat gave an access token"))
            self._add(white_list, "ok", self.env._("This server's address is on it"))
        except WechatConfigError as error:
            listed = error.code not in (40164, 89503, 89506, 89507)
            found = self.env._("WeChat refused: error %s", error.code)
            self._add(
                name if listed else white_list,
                "error",
                found if isinstance(error.code, int) else "",
                error,
            )
            return
        except WechatRefused as error:
            self._add(
                name,
                "error",
                error,
                self.env._("Compare AppID and AppSecret with WeChat's console."),
            )
            return
        except WechatUnavailable as error:
            self._add(
                self.env._("WeChat reachable"),
                "error",
                error,
                self._advice_unreachable(account),
            )
            return
        self._check_clock(client.last_date)

    def _advice_unreachable(self, record):
        if record.environment == "sandbox":
            return self.env._(
                "Start the sandbox, or correct its address: %(url)s",
                url=record.sandbox_url,
            )
        return self.env._(
            "Check the server's Internet connection, name resolution and firewall."
        )

    def _check_clock(self, date):
        name = self.env._("Clock")
        try:
            remote = parsedate_to_datetime(date or "")
        except (TypeError, ValueError):
            return
        if remote.tzinfo is None:
            remote = remote.replace(tzinfo=timezone.utc)
        seconds = int(time.time() - remote.timestamp())
        detail = self.env._("%(seconds)s seconds apart from WeChat", seconds=seconds)
        if abs(seconds) <= MAX_SKEW:
            self._add(name, "ok", detail)
        else:
            self._add(
                name,
                "error",
                detail,
                self.env._("Set the server's clock; use a time service (NTP)."),
            )

    def _check_callback(self, account):
        name = self.env._("Callback address")
        token = account._secret("token")
        if not token:
            self._add(
                name,
                "error",
                self.env._("No callback token"),
                self.env._(
                    "Choose a token, enter it here and in WeChat's console, "
                    "together with the callback address."
                ),
            )
            return
        if account.callback_mode != "plain" and not account._secret("encoding_aes_key"):
            self._add(
                self.env._("Encryption of callbacks"),
                "error",
                self.env._("No EncodingAESKey"),
                self.env._("Copy the EncodingAESKey from WeChat's console."),
            )
        self._check_public_address(account.callback_url)
        echo = secrets.token_hex(8)
        answer = self._ask_callback(account.callback_url, token, echo)
        if answer is None:
            self._add_unreachable(name, account.callback_url)
            return
        if answer.status_code == 200 and answer.text == echo:
            self._add(name, "ok", account.callback_url)
        else:
            self._add(
                name,
                "error",
                self.env._("Answered %(status)s", status=answer.status_code),
                self.env._(
                    "Something else answers at this address. With several databases "
                    "on one server, the address must lead to this one (dbfilter); a "
                    "proxy must pass /wechat/ on."
                ),
            )
            return
        refused = self._ask_callback(account.callback_url, f"{token}x", echo)
        self._add_refusal(refused is not None and refused.status_code == 403)

    def _ask_callback(self, url, token, echo):
        """Play WeChat entering our address; return the answer or ``None``."""
        timestamp, nonce = str(int(time.time())), secrets.token_hex(8)
        params = {
            "signature": callback.signature(token, timestamp, nonce),
            "timestamp": timestamp,
            "nonce": nonce,
            "echostr": echo,
        }
        return self._ask("GET", url, params=params)

    def _ask(self, method, url, **values):
        try:
            with transport.new_session() as session:
                return session.request(
                    method, url, timeout=SELF_TIMEOUT, allow_redirects=False, **values
                )
        except requests.RequestException:
            return None

    def _add_unreachable(self, name, url):
        self._add(
            name,
            "warning",
            self.env._("%(url)s cannot be reached from this server", url=url),
            self.env._(
                "WeChat must be able to reach it. Check web.base.url, the proxy and "
                "the firewall; in some networks a server cannot reach its own public "
                "address although WeChat can."
            ),
        )

    def _add_refusal(self, refused):
        self._add(
            self.env._("Signature of callbacks"),
            "ok" if refused else "error",
            self.env._("A wrong signature is refused")
            if refused
            else self.env._("A wrong signature was not refused"),
            "" if refused else self.env._("Something else answers at this address."),
        )

    def _check_public_address(self, url):
        record = self.account_id or self.merchant_id
        if record.environment == "production" and not url.startswith("https://"):
            self._add(
                self.env._("Public address"),
                "warning",
                url,
                self.env._(
                    "Set web.base.url to the public https address of this Odoo."
                ),
            )

    def _check_last_event(self, domain):
        event = self.env["wechat.event"].search(domain, limit=1)
        self._add(
            self.env._("Last callback"),
            "ok" if event else "warning",
            fields.Datetime.to_string(
                fields.Datetime.context_timestamp(self, event.received_at)
            )
            if event
            else self.env._("None received yet"),
            ""
            if event
            else self.env._(
                "Enter the address in WeChat's console, then follow the account or "
                "receive a card with a phone."
            ),
        )

    # --- WeChat Pay ---

    def _check_merchant(self):
        merchant = self.merchant_id
        if not self._check_secret_key() or not self._check_enabled(merchant):
            return
        good = self._check_apiv3_key(merchant)
        good = self._check_private_key(merchant) and good
        good = self._check_platform_keys(merchant) and good
        if good:
            self._check_pay_call(merchant)
        self._check_notify(merchant)
        self._check_last_event([("merchant_id", "=", merchant.id)])

    def _check_apiv3_key(self, merchant):
        good = bool(merchant._secret("apiv3_key"))
        self._add(
            self.env._("APIv3 key"),
            "ok" if good else "error",
            self.env._("Set") if good else self.env._("Missing"),
            ""
            if good
            else self.env._(
                "Set an APIv3 key in the merchant platform (Account, API security) "
                "and enter it here. Without it WeChat sends no notices."
            ),
        )
        return good

    def _check_private_key(self, merchant):
        name = self.env._("API private key and certificate")
        pem = merchant._secret("private_key")
        if not pem or not merchant.merchant_serial:
            self._add(
                name,
                "error",
                self.env._("Missing"),
                self.env._(
                    "Paste apiclient_key.pem and apiclient_cert.pem, as downloaded "
                    "from the merchant platform."
                ),
            )
            return False
        if not merchant.certificate:
            self._add(
                name,
                "warning",
                self.env._("No certificate to compare the key with"),
                self.env._("Paste apiclient_cert.pem; its serial number is then read."),
            )
            return True
        certificate = pay_crypto.load_certificate(merchant.certificate)
        private_key = pay_crypto.load_private_key(pem)
        serial = pay_crypto.certificate_serial(certificate)
        if not pay_crypto.same_key(private_key, certificate.public_key()):
            detail = self.env._("The key does not belong to the certificate")
        elif serial != (merchant.merchant_serial or "").upper():
            detail = self.env._("The serial number is not the certificate's")
        elif pay_crypto.certificate_end(certificate) <= fields.Datetime.now():
            detail = self.env._("The certificate has expired")
        else:
            self._add(name, "ok", self.env._("Belong together; %s", serial))
            return True
        self._add(
            name,
            "error",
            detail,
            self.env._("Paste both files of the same download again."),
        )
        return False

    def _check_platform_keys(self, merchant):
        name = self.env._("WeChat's keys")
        if merchant.key_mode != "public_key":
            try:
                merchant._fetch_certificates()
            except WechatError as error:
                self._add(
                    self.env._("Download of platform certificates"),
                    "error" if merchant.key_mode == "certificate" else "warning",
                    error.code or "",
                    error,
                )
        keys = merchant.key_ids
        if merchant.key_mode != "both":
            keys = keys.filtered(lambda key: key.kind == merchant.key_mode)
        now = fields.Datetime.now()
        valid = keys.filtered(
            lambda key: (
                key.kind == "public_key"
                or (key.valid_from and key.valid_from <= now < key.valid_to)
            )
        )
        if not valid:
            self._add(
                name,
                "error",
                self.env._("No valid key"),
                self.env._(
                    "Add the public key from the merchant platform (Account, API "
                    "security) with its ID, which begins with PUB_KEY_ID_."
                ),
            )
            return False
        soon = now + timedelta(days=14)
        ending = merchant.key_mode == "certificate" and not valid.filtered(
            lambda key: key.valid_to and key.valid_to > soon
        )
        self._add(
            name,
            "warning" if ending else "ok",
            ", ".join(valid.mapped("serial")),
            self.env._("The certificate ends soon; WeChat should have a new one.")
            if ending
            else "",
        )
        return True

    def _check_pay_call(self, merchant):
        """Ask for an order that cannot exist: a signed "no" proves both signatures."""
        name = self.env._("Signed call to WeChat Pay")
        path, params = merchant._harmless_question()
        client = merchant._get_pay_client()
        try:
            client.request("GET", path, params=params)
        except WechatRefused:
            self._add(name, "ok", self.env._("Both signatures are accepted"))
        except WechatConfigError as error:
            self._add(name, "error", error.code or "", error)
        except WechatUnavailable as error:
            self._add(name, "error", error, self._advice_pay(merchant, error))
        else:
            self._add(name, "ok", self.env._("Both signatures are accepted"))
        self._check_clock(client.last_date)

    def _advice_pay(self, merchant, error):
        if error.code in ("unknown_key", "wrong"):
            return self.env._(
                "WeChat signed with a key that is not listed here. Compare the public "
                "key and its ID with the merchant platform, or download the platform "
                "certificates."
            )
        if error.code == "stale":
            return self.env._("Set the server's clock; use a time service (NTP).")
        return self._advice_unreachable(merchant)

    def _check_notify(self, merchant):
        name = self.env._("Notification address")
        self._check_public_address(merchant.notify_url)
        answer = self._ask("POST", merchant.notify_url, data=b"{}")
        if answer is None:
            self._add_unreachable(name, merchant.notify_url)
            return
        refused = answer.status_code == 401
        if refused:
            self._add(name, "ok", merchant.notify_url)
        self._add_refusal(refused)
