import base64
import io
import logging
import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

import pytz
from psycopg2 import DataError, IntegrityError
from psycopg2 import Error as DatabaseError
from psycopg2.errors import UniqueViolation

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import ConcurrencyError, UserError

from odoo.addons.wechat_base.tools import money
from odoo.addons.wechat_base.tools.exceptions import (
    WechatConfigError,
    WechatError,
    WechatRefused,
    WechatUnavailable,
    WechatUnknownOutcome,
)

from .. import const
from ..tools.ledger import as_ledger

_logger = logging.getLogger(__name__)

_DATE_RANGE = ("DATE_TYPE_FIX_TIME_RANGE", 1)
_DATE_TERM = ("DATE_TYPE_FIX_TERM", 2)
# A clock of ours that is behind WeChat's must not hide a card just made.
_CLOCK_SLACK = timedelta(minutes=10)
_MAX_INTEGER = 2**31 - 1
# What an answer that is not as documented does to the code that reads it.
_ODD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class OddAnswer(WechatUnknownOutcome):
    """An answer that is not what WeChat's documents say; it tells us nothing."""


class CodeAnswer(NamedTuple):
    """What `card/code/get` says about a code."""

    card_id: str
    status: str | None
    #: value of ``wechat_state``, ``None`` if the status is missing or new to us
    state: str | None
    can_consume: bool | None
    valid_from: datetime | None
    valid_to: datetime | None
    openid: str | None
    outer_str: str | None


class CouponChannelCard(models.AbstractModel):
    """Coupons of an Official Account (公众号卡券).

    WeChat closed the creation of new coupons on 2021-04-01 for most accounts; those
    that exist are still handed out and used.
    """

    _name = "coupon.channel.card"
    _inherit = "coupon.channel"
    _description = "Coupon Channel: Official-Account Cards"

    _is_remote = True
    _asks_before_reserve = True
    _needs_write_off = True

    # === ANSWERS === #

    @contextmanager
    def _reading(self, what):
        """Turn what an odd answer does to the code into the lack of an answer.

        :param str what: which answer, for the log
        """
        try:
            yield
        except WechatError as error:
            if error.code == "bad_answer":
                raise OddAnswer(str(error), code=error.code) from error
            raise
        except _ODD as error:
            _logger.warning("WeChat's answer about %s is odd", what, exc_info=True)
            raise OddAnswer(
                self.env._("WeChat's answer about %(what)s is odd.", what=what)
            ) from error

    def _get_card(self, client, card_id):
        """Return what `card/get` says, checked as far as we go by it.

        :raises OddAnswer: if that is no card
        """
        with self._reading(f"card {card_id}"):
            card = client.card.get(card_id)
            if card["card_type"] in const.CARD_TYPES:
                base = _inner(card)["base_info"]
                if base.get("id", card_id) != card_id:
                    raise ValueError("another card")
            return card

    def _get_code(self, client, code, card_id=None, check_consume=True):
        """Return what `card/code/get` says, checked as far as we go by it.

        :param str card_id: the card that the code belongs to, if we know it
        :rtype: CodeAnswer
        :raises OddAnswer: if that is not about the code
        """
        answer = client.card.get_code(
            code, card_id=card_id, check_consume=check_consume
        )
        with self._reading(f"a code of card {card_id or '?'}"):
            card = answer["card"]
            if not _text(card["card_id"]) or card_id not in (None, card["card_id"]):
                raise ValueError("another card")
            status = _text(answer.get("user_card_status"))
            return CodeAnswer(
                card_id=card["card_id"],
                status=status,
                state=const.USER_CARD_STATES.get(status),
                can_consume=answer.get("can_consume"),
                valid_from=_from_timestamp(card.get("begin_time")),
                valid_to=_from_timestamp(card.get("end_time")),
                openid=_text(answer.get("openid")),
                outer_str=_text(answer.get("outer_str")),
            )

    # === PUBLISH === #

    def _check_publish(self, template):
        """Override of ``coupon.channel``: WeChat's limits, before anything is sent."""
        if template.currency_id.name != "CNY":
            raise UserError(
                self.env._("WeChat coupons are in yuan; the company must use CNY.")
            )
        self._check_texts(template)
        self._check_numbers(template)

    def _check_texts(self, template):
        needed = ["title", "brand_name", "notice", "description"]
        if template.coupon_type in const.PRODUCT_TYPES:
            needed.append("gift_text")
        missing = [self._label(template, name) for name in needed if not template[name]]
        if not (template.logo or template.logo_url):
            missing.append(self._label(template, "logo"))
        if missing:
            raise UserError(
                self.env._(
                    "Fill in on the page “On the Phone” before you publish the coupon: "
                    "%(fields)s.",
                    fields=", ".join(missing),
                )
            )
        for name, limit in const.CARD_BYTES.items():
            size = len((template[name] or "").encode())
            if size > limit:
                raise UserError(
                    self.env._(
                        "“%(field)s” is too long for WeChat: it has %(size)s bytes, "
                        "and %(limit)s are allowed (%(characters)s Chinese "
                        "characters).",
                        field=self._label(template, name),
                        size=size,
                        limit=limit,
                        characters=limit // 3,
                    )
                )

    def _check_numbers(self, template):
        if template.coupon_type == "amount":
            if template.amount_fen < const.CARD_MIN_AMOUNT_FEN:
                raise UserError(
                    self.env._("WeChat wants “Amount Off” to be ¥1 at least.")
                )
            if template.threshold_fen and (
                template.threshold_fen <= template.amount_fen
            ):
                raise UserError(
                    self.env._(
                        "WeChat wants “From a Purchase of” to be more than “Amount "
                        "Off”."
                    )
                )
        self._check_stock(template)
        if not 1 <= template.get_limit <= const.CARD_MAX_GET_LIMIT:
            raise UserError(self.env._("“Per Customer” is a number from 1 to 50."))

    def _check_stock(self, template):
        """Override of ``coupon.channel``: of codes of our own there are so many."""
        if not template.own_codes and not 1 <= template.stock <= const.CARD_MAX_STOCK:
            raise UserError(self.env._("“Pieces” is a number from 1 to 100 million."))

    def _label(self, template, name):
        return template._fields[name]._description_string(self.env)

    def _publish(self, template, number):
        """Override of ``coupon.channel``: `card/create`."""
        client = template.account_id._get_client()
        try:
            with self._reading("the logo"):
                logo_url = template.logo_url or self._upload_logo(client, template)
            card = {"card": self._card(template, logo_url)}
            with self._reading("the new card"):
                card_id = client.card.create(card)
                if not _text(card_id):
                    raise ValueError("no card")
        except WechatConfigError as error:
            if error.code != const.ERROR_NOT_AUTHORISED:
                raise
            # WeChat's normal answer since 2021: asking again would not help.
            raise WechatRefused(
                self.env._(
                    "WeChat does not let this account make new coupons (closed since "
                    "April 2021 for most accounts). Coupons that exist there can be "
                    "used: choose “Fetch from WeChat”."
                ),
                code=error.code,
                request_id=error.request_id,
            ) from error
        return {
            "remote_id": card_id,
            "remote_type": const.CREATED_CARD_TYPES[template.coupon_type],
            "remote_status": "CARD_STATUS_NOT_VERIFY",
            "remote_stock": 0 if template.own_codes else template.stock,
            "custom_code": template.own_codes,
            "logo_url": logo_url,
            "state": "review",
            "state_reason": False,
        }

    def _upload_logo(self, client, template):
        logo = template.with_context(bin_size=False).logo
        file = io.BytesIO(base64.b64decode(logo))
        return client.media.upload_image(("logo.png", file, "image/png"))

    def _card(self, template, logo_url):
        """Return the body of `card/create`."""
        card_type = const.CREATED_CARD_TYPES[template.coupon_type]
        body = {
            "base_info": {
                "logo_url": logo_url,
                "brand_name": template.brand_name,
                "code_type": template.code_type,
                "title": template.title,
                "color": template.color,
                "notice": template.notice,
                "description": template.description,
                "date_info": self._date_info(template),
                "sku": {"quantity": 0 if template.own_codes else template.stock},
                "get_limit": template.get_limit,
                "can_share": template.can_share,
                "can_give_friend": template.can_give_friend,
            }
        }
        if template.own_codes:
            # Pieces come with the codes.
            body["base_info"]["use_custom_code"] = True
            body["base_info"]["get_custom_code_mode"] = const.CARD_DEPOSIT_MODE
        if template.service_phone:
            body["base_info"]["service_phone"] = template.service_phone
        if card_type == "CASH":
            body["least_cost"] = template.threshold_fen
            body["reduce_cost"] = template.amount_fen
        elif card_type == "DISCOUNT":
            body["discount"] = template.percent_off
        else:
            body["gift"] = template.gift_text
        if template.threshold_fen and card_type != "CASH":
            body["advanced_info"] = {
                "use_condition": {"least_cost": template.threshold_fen}
            }
        return {"card_type": card_type, card_type.lower(): body}

    def _date_info(self, template):
        if template.date_type == "range":
            begin, end = template._validity()
            return {
                "type": _DATE_RANGE[0],
                "begin_timestamp": _timestamp(begin),
                "end_timestamp": _timestamp(end),
            }
        info = {
            "type": _DATE_TERM[0],
            "fixed_term": template.term_days,
            "fixed_begin_term": template.term_begin_days,
        }
        if template.term_latest:
            info["end_timestamp"] = _timestamp(
                template._end_of_day(template.term_latest)
            )
        return info

    def _find_published(self, template, since):
        """Override of ``coupon.channel``: a card like ours that nobody else owns."""
        client = template.account_id._get_client()
        known = set(self._templates(template.account_id).mapped("remote_id"))
        for card_id in self._card_ids(client):
            if card_id in known:
                continue
            try:
                card = self._get_card(client, card_id)
                if self._is_published(template, card, since):
                    return self._remote_values(card, card_id)
            except OddAnswer:
                continue
        return None

    def _is_published(self, template, card, since):
        """Whether a card at WeChat is what publishing a template made.

        :param dict card: what `card/get` said
        :param datetime since: when it was ordered
        """
        if card["card_type"] != const.CREATED_CARD_TYPES[template.coupon_type]:
            return False
        with self._reading("a card"):
            base = _inner(card)["base_info"]
            made_at = _from_timestamp(base.get("create_time"))
            return bool(
                base.get("title") == template.title
                and base.get("brand_name") == template.brand_name
                and made_at
                and made_at >= since - _CLOCK_SLACK
                and self._same_worth(template, card)
            )

    @api.model
    def _publishing(self, account, card):
        """Return the template that a card was made for, if we do not know yet.

        Its task is about to learn the card's number from WeChat.
        """
        tasks = (
            self.env["coupon.task"]
            .sudo()
            .search(
                [
                    ("kind", "=", "publish"),
                    ("template_id.account_id", "=", account.id),
                    ("remote_state", "in", ("pending", "sending", "unknown")),
                ]
            )
        )
        for task in tasks:
            if self._is_published(task.template_id, card, task.create_date):
                return task.template_id
        return self.env["coupon.template"]

    def _same_worth(self, template, card):
        """Whether a card at WeChat gives what the template gives, and as long."""
        if template.coupon_type in const.PRODUCT_TYPES and (
            _inner(card).get("gift") != template.gift_text
        ):
            return False
        return all(template[name] == value for name, value in self._terms(card).items())

    def _end(self, template, number):
        """Override of ``coupon.channel``: `card/delete`; codes in wallets stay good."""
        client = template.account_id._get_client()
        client.card.delete(template.remote_id)

    def _is_ended(self, template):
        """Override of ``coupon.channel``."""
        client = template.account_id._get_client()
        card = self._get_card(client, template.remote_id)
        status = _inner(card)["base_info"].get("status")
        return const.CARD_STATES.get(status) == "ended"

    # === PULL === #

    @api.model
    def _pull(self, account):
        """Override of ``coupon.channel``: `card/batchget`, then `card/get` each."""
        client = account._get_client()
        nothing = self.env["coupon.template"]
        found = {"new": nothing, "known": nothing}
        skipped = failed = 0
        for card_id in self._card_ids(client):
            try:
                card = self._get_card(client, card_id)
                with self.env.cr.savepoint():
                    outcome, template = self._take_card(account, card_id, card)
            except (UserError, DataError, IntegrityError) as error:
                if isinstance(error, WechatError) and not isinstance(error, OddAnswer):
                    raise
                _logger.warning("Card %s of %s", card_id, account, exc_info=True)
                failed += 1
                continue
            if outcome == "skipped":
                skipped += 1
            else:
                found[outcome] |= template
        return found["new"], found["known"], skipped, failed

    @api.model
    def _pull_count(self, account):
        """Return how many cards an account has, of whatever kind."""
        client = account._get_client()
        with self._reading("the list of cards"):
            return int(client.card.batch_get(offset=0, count=1).get("total_num") or 0)

    @api.model
    def _pull_later(self, account):
        """Have :meth:`_pull_job` do the work; one job per account waits at most."""
        self.with_delay(
            identity_key=f"coupon_pull:{account.id}",
            description=self.env._(
                "Fetch the coupons of %(account)s", account=account.name
            ),
        )._pull_job(account.id, self.env.uid)

    @api.model
    def _pull_job(self, account_id, user_id):
        """Job: :meth:`_pull`, each card settled on its own.

        :param int account_id: ``wechat.account``
        :param int user_id: who is told when it is done
        :return: a sentence for the job's result
        """
        # sudo: the wizard has checked that the user may read the account.
        account = self.env["wechat.account"].sudo().browse(account_id).exists()
        if not account:
            return ""
        client = account._get_client()
        counts = dict.fromkeys(("new", "known", "skipped", "failed"), 0)
        for card_id in self._card_ids(client):
            counts[self._pull_settled(account, card_id, client)] += 1
        message = self.env._(
            "%(account)s: %(new)s new, %(known)s compared, %(skipped)s of other kinds "
            "left out, %(failed)s failed.",
            account=account.name,
            **counts,
        )
        self.env["res.users"].sudo().browse(user_id)._bus_send(
            "simple_notification",
            {
                "type": "warning" if counts["failed"] else "success",
                "title": self.env._("Coupons fetched from WeChat"),
                "message": message,
            },
        )
        return message

    @api.model
    def _pull_settled(self, account, card_id, client):
        """Fetch one card; its trouble is not the others'.

        :return: ``"new"``, ``"known"``, ``"skipped"`` or ``"failed"``
        """
        try:
            # Before the transaction: it must not wait for WeChat.
            card = self._get_card(client, card_id)
            with self.env.registry.cursor() as cr:
                env = api.Environment(cr, SUPERUSER_ID, dict(self.env.context))
                channel, own = env[self._name], account.with_env(env)
                outcome, _template = channel._take_card(own, card_id, card)
                env.flush_all()
            return outcome
        except WechatConfigError:
            # The next card would not fare better.
            raise
        except (UserError, DatabaseError):
            _logger.warning("Card %s of %s", card_id, account, exc_info=True)
            return "failed"

    @api.model
    def _take_card(self, account, card_id, card):
        """Make a template of a card, or compare it with the one that it has.

        :return: ``"new"``, ``"known"`` or ``"skipped"``, and the template
        :rtype: tuple
        """
        template = self._templates(account, card_id)
        if template:
            self._refresh_from(template, card)
            return "known", template
        template = self._publishing(account, card)
        if template:
            # A second template would have customers see two coupons.
            return "known", template
        template = self._make_template(account, card_id, card)
        return ("new" if template else "skipped"), template

    @api.model
    def _card_ids(self, client):
        offset, total = 0, 1
        while offset < min(total, const.PULL_LIMIT):
            with self._reading("the list of cards"):
                page = client.card.batch_get(offset=offset, count=const.PULL_PAGE)
                ids = [_text(card_id) for card_id in page.get("card_id_list") or []]
                total = int(page.get("total_num") or 0)
            if not ids:
                return
            yield from filter(None, ids)
            offset += len(ids)

    @api.model
    def _templates(self, account, card_id=None):
        """Return the templates of an account, or the one of a card."""
        domain = [("account_id", "=", account.id), ("remote_id", "!=", False)]
        if card_id:
            domain = [("account_id", "=", account.id), ("remote_id", "=", card_id)]
        # sudo: tills and events find templates whoever runs them.
        templates = self.env["coupon.template"].sudo().with_context(active_test=False)
        return templates.search(domain)

    @api.model
    def _pull_card(self, account, card_id, client=None):
        """Make a template from a card that we do not know, while a till waits.

        :return: ``coupon.template`` record, empty if the card is no coupon
        :raises WechatUnavailable: if the card cannot be read now
        """
        card = self._get_card(client or account._get_client(), card_id)
        if self._publishing(account, card):
            raise WechatUnavailable(
                self.env["coupon.reason"]._message("remote_unavailable")
            )
        try:
            with self.env.cr.savepoint():
                return self._make_template(account, card_id, card)
        except UniqueViolation as error:
            # Another till was first, with another customer's coupon of the card;
            # its template is not to be seen before we begin anew.
            raise ConcurrencyError(f"card {card_id}") from error
        except (UserError, DataError) as error:
            # It is a manager who can do something about it, when he fetches it.
            _logger.warning("Card %s of %s", card_id, account, exc_info=True)
            raise OddAnswer(str(error)) from error

    @api.model
    def _make_template(self, account, card_id, card):
        """Make a template of what `card/get` answered.

        :return: ``coupon.template`` record, empty if the card is no coupon
        :raises OddAnswer: if it cannot be read
        """
        if card.get("card_type") not in const.CARD_TYPES:
            return self.env["coupon.template"]
        with self._reading(f"card {card_id}"):
            values = {
                **self._terms(card),
                **self._texts(card),
                **self._remote_values(card, card_id),
                "remote_limits": self._limits(card),
                "channel": "card",
                "account_id": account.id,
                "company_id": account.company_id.id,
            }
            if not self._is_complete(values):
                values["coupon_type"] = "gift"
            # sudo: a till that scans the first code of a card makes its template.
            templates = as_ledger(self.env["coupon.template"])
            return templates.with_company(account.company_id).create(values)

    def _is_complete(self, values):
        """Whether what WeChat says can be worked out by a till."""
        if values["coupon_type"] == "amount":
            return values["amount_fen"] > 0
        return values["coupon_type"] != "percent" or 0 < values["percent_off"] < 100

    def _refresh(self, template):
        """Override of ``coupon.channel``: `card/get`."""
        client = template.account_id._get_client()
        self._refresh_from(template, self._get_card(client, template.remote_id))

    def _refresh_from(self, template, card):
        """Take over what may have changed at WeChat; our own terms stay ours."""
        with self._reading(f"card {template.remote_id}"):
            values = self._remote_values(card, template.remote_id)
            state = values.pop("state")
            dates = self._dates(_inner(card)["base_info"].get("date_info") or {})
            changed = {
                name: value for name, value in dates.items() if template[name] != value
            }
            limits = self._limits(card)
            if limits != (template.remote_limits or False):
                changed.update(remote_limits=limits, limits_confirmed=False)
            as_ledger(template).write({**values, **changed})
            template._follow_remote(state)

    def _remote_values(self, card, card_id):
        base = _inner(card)["base_info"]
        return {
            "remote_id": card_id,
            "remote_type": card["card_type"],
            "remote_status": base.get("status"),
            "remote_stock": _count((base.get("sku") or {}).get("quantity")),
            "remote_synced_at": fields.Datetime.now(),
            "custom_code": bool(base.get("use_custom_code")),
            "state": const.CARD_STATES.get(base.get("status"), "review"),
        }

    def _terms(self, card):
        """Return what a card is worth, in our words: fen, percent off."""
        card_type, inner = card["card_type"], _inner(card)
        condition = (inner.get("advanced_info") or {}).get("use_condition") or {}
        values = {
            "coupon_type": const.CARD_TYPES[card_type],
            "threshold_fen": _fen(condition.get("least_cost")),
            **self._dates(inner["base_info"].get("date_info") or {}),
        }
        if card_type == "CASH":
            values["amount_fen"] = _fen(inner.get("reduce_cost"))
            values["threshold_fen"] = _fen(inner.get("least_cost"))
        elif card_type == "DISCOUNT":
            # Percent OFF: 30 is 七折. (busifavor counts the other way round.)
            values["percent_off"] = _count(inner.get("discount"))
        return values

    def _texts(self, card):
        inner = _inner(card)
        base = inner["base_info"]
        colors = {value.lower(): name for name, value in const.CARD_COLORS.items()}
        color = str(base.get("color") or "")
        return {
            "name": base.get("title") or card["card_type"],
            "title": base.get("title"),
            "brand_name": base.get("brand_name"),
            "notice": base.get("notice"),
            "description": base.get("description"),
            "gift_text": inner.get("gift")
            or inner.get("default_detail")
            or inner.get("deal_detail"),
            "color": color
            if color in const.CARD_COLORS
            else colors.get(color.lower(), "Color010"),
            "logo_url": base.get("logo_url"),
            "service_phone": base.get("service_phone"),
            "get_limit": _count(base.get("get_limit")) or 1,
            "can_share": base.get("can_share", True),
            "can_give_friend": base.get("can_give_friend", True),
            "stock": _count((base.get("sku") or {}).get("total_quantity")),
        }

    def _dates(self, info):
        if info.get("type") in _DATE_TERM:
            latest = info.get("end_timestamp")
            return {
                "date_type": "term",
                "term_days": _count(info.get("fixed_term")) or 1,
                "term_begin_days": _count(info.get("fixed_begin_term")),
                "term_latest": _beijing_date(latest) if latest else False,
            }
        return {
            "date_type": "range",
            "date_from": _beijing_date(info.get("begin_timestamp")),
            "date_to": _beijing_date(info.get("end_timestamp")),
        }

    # === LIMITS === #

    def _limits(self, card):
        """Return what a card tells customers and nobody keeps to but the shop.

        :return: what :meth:`_limits_text` puts into words, ``False`` for nothing
        """
        inner = _inner(card)
        base = inner["base_info"]
        info = inner.get("advanced_info") or {}
        condition = info.get("use_condition") or {}
        limits = {
            name: str(condition[name])
            for name in ("accept_category", "reject_category", "object_use_for")
            if condition.get(name)
        }
        if condition.get("can_use_with_other_discount") is False:
            limits["alone"] = True
        if info.get("time_limit"):
            limits["times"] = [_time_limit(entry) for entry in info["time_limit"]]
        shops = base.get("location_id_list") or []
        if shops or base.get("use_all_locations") is False:
            limits["shops"] = [str(shop) for shop in shops]
        return limits or False

    def _limits_text(self, limits):
        """Override of ``coupon.channel``."""
        lines = []
        if "accept_category" in limits:
            lines.append(
                self.env._("Only for: %(goods)s", goods=limits["accept_category"])
            )
        if "reject_category" in limits:
            lines.append(
                self.env._("Not for: %(goods)s", goods=limits["reject_category"])
            )
        if "object_use_for" in limits:
            lines.append(
                self.env._("Only with: %(goods)s", goods=limits["object_use_for"])
            )
        if "alone" in limits:
            lines.append(self.env._("Not together with other discounts"))
        if "times" in limits:
            times = [self._time_text(*entry) for entry in limits["times"]]
            lines.append(self.env._("Only on %(times)s", times=", ".join(times)))
        if "shops" in limits:
            shops = ", ".join(limits["shops"])
            lines.append(
                self.env._("Only in WeChat's shops number %(shops)s", shops=shops)
                if shops
                else self.env._("Not in all shops")
            )
        return "\n".join(lines)

    def _time_text(self, day, begin, end):
        days = {
            "MONDAY": self.env._("Monday"),
            "TUESDAY": self.env._("Tuesday"),
            "WEDNESDAY": self.env._("Wednesday"),
            "THURSDAY": self.env._("Thursday"),
            "FRIDAY": self.env._("Friday"),
            "SATURDAY": self.env._("Saturday"),
            "SUNDAY": self.env._("Sunday"),
            "HOLIDAY": self.env._("holidays"),
        }
        day = days.get(day, day)
        return f"{day} {begin}-{end}" if begin != end else day

    # === CODES === #

    @api.model
    def _find_code(self, code, company, deadline):
        """Override of ``coupon.channel``: `card/code/get` of each account."""
        nothing = self.env["loyalty.card"]
        if len(code.encode()) > const.CARD_MAX_CODE or not code.isalnum():
            return nothing, None
        # sudo: accounts are not for users of the till to read.
        accounts_sudo = (
            self.env["wechat.account"]
            .sudo()
            .search(
                [
                    # A coupon of a company is good at its branches.
                    ("company_id", "in", company.sudo().parent_ids.ids),
                    ("environment", "!=", "disabled"),
                    ("account_type", "!=", "mini_program"),
                ]
            )
        )
        trouble = None
        for account_sudo in accounts_sudo:
            try:
                coupon = self._find_code_at(account_sudo, code, deadline)
            except WechatConfigError:
                _logger.warning("Account %s", account_sudo.id, exc_info=True)
                trouble = trouble or "account_misconfigured"
            except WechatRefused as error:
                if error.code not in const.UNKNOWN_CODE_ERRORS:
                    _logger.warning("Account %s", account_sudo.id, exc_info=True)
                    trouble = trouble or "refused"
            except WechatError:
                _logger.info("Account %s gave no answer", account_sudo.id)
                trouble = "remote_unavailable"
            else:
                if coupon:
                    return coupon, None
        return nothing, trouble

    def _find_code_at(self, account, code, deadline):
        client = self._till_client(account, deadline)
        try:
            answer = self._get_code(client, code, check_consume=False)
        except WechatRefused as error:
            if error.code != const.ERROR_NEEDS_CARD_ID:
                raise
            answer = self._find_custom_code(account, code, client)
        if answer.state is None:
            raise OddAnswer(self.env["coupon.reason"]._message("remote_unavailable"))
        template = self._templates(account, answer.card_id)
        if not template:
            template = self._pull_card(account, answer.card_id, client)
        if not template:
            return self.env["loyalty.card"]
        with self._reading("a code"):
            return self._mirror(template, code, answer)

    def _find_custom_code(self, account, code, client):
        """Ask for a code of our own making: WeChat wants to know its card."""
        templates = self._templates(account).filtered("custom_code")
        for template in templates[: const.CUSTOM_CODE_CARDS]:
            try:
                return self._get_code(
                    client, code, card_id=template.remote_id, check_consume=False
                )
            except WechatRefused as error:
                if error.code not in const.UNKNOWN_CODE_ERRORS:
                    raise
        raise WechatRefused(
            self.env["coupon.reason"]._message("unknown_code"),
            code=const.ERROR_UNKNOWN_CODE,
        )

    def _mirror(self, template, code, answer):
        """Keep a coupon as `card/code/get` describes it.

        :param CodeAnswer answer: what it said
        """
        identity = self.env["wechat.identity"]
        if answer.openid:
            # sudo: a till makes the identity of the coupon's owner.
            identity = identity.sudo()._find_or_create(
                template.account_id, answer.openid
            )
        made = (
            self.env["loyalty.card"]
            .sudo()
            ._wechat_insert(
                template,
                [
                    {
                        "code": code,
                        "partner_id": identity.partner_id.id,
                        "wechat_identity_id": identity.id,
                        "wechat_openid": answer.openid,
                        "wechat_outer_str": answer.outer_str,
                        "wechat_valid_from": answer.valid_from,
                        "wechat_valid_to": answer.valid_to,
                    }
                ],
                state=answer.state,
            )
        )
        if made and answer.state == "used":
            made._wechat_set_state("used", wechat_used_outside=True)
        return made or self.env["loyalty.card"]._wechat_find(code)

    def _till_client(self, account, deadline):
        """Return a client that answers while a cashier waits.

        :raises WechatConfigError: if the account is not set up
        """
        wait = self.env["wechat.rate.guard"]._wait(
            f"card_query:{account.id}", const.QUERIES_PER_SECOND
        )
        if wait:
            raise WechatUnavailable(
                self.env["coupon.reason"]._message("remote_unavailable")
            )
        client = account._get_client()
        client.timeout = const.TILL_TIMEOUT
        client.deadline = deadline
        return client

    def _query(self, coupon, timeout=None):
        """Override of ``coupon.channel``: `card/code/get`."""
        template = coupon.coupon_template_id
        deadline = time.monotonic() + (timeout or const.TILL_TIMEOUT)
        # sudo: accounts are not for users of the till to read.
        client = self._till_client(template.account_id.sudo(), deadline)
        try:
            answer = self._get_code(client, coupon.code, template.remote_id)
        except WechatRefused as error:
            if error.code not in const.CODE_ERRORS:
                raise
            return self._query_reason(client, coupon, error)
        if not isinstance(answer.can_consume, bool):
            raise OddAnswer(self.env["coupon.reason"]._message("remote_unavailable"))
        self._take_over(coupon, answer)
        return None if answer.can_consume else "void"

    def _query_reason(self, client, coupon, refusal):
        """Find out why WeChat does not accept a code, for the cashier.

        :param refusal: WeChat's answer to the question with ``check_consume``
        """
        if refusal.code in const.UNKNOWN_CODE_ERRORS:
            return "unknown_code"
        answer = self._get_code(
            client,
            coupon.code,
            coupon.coupon_template_id.remote_id,
            check_consume=False,
        )
        self._take_over(coupon, answer)
        state = answer.state or "void"
        if state == "usable":
            if answer.valid_from and answer.valid_from > fields.Datetime.now():
                return "not_yet_valid"
            return const.CODE_ERRORS[refusal.code]
        return const.STATE_REASONS[state]

    def _take_over(self, coupon, answer):
        """Write what WeChat says about a coupon, if it is news."""
        values = {}
        if answer.valid_from and coupon.wechat_valid_from != answer.valid_from:
            values["wechat_valid_from"] = answer.valid_from
        if answer.valid_to and coupon.wechat_valid_to != answer.valid_to:
            values["wechat_valid_to"] = answer.valid_to
            values["expiration_date"] = _beijing_date(_timestamp(answer.valid_to))
        state = answer.state
        if state and state != coupon.wechat_state and coupon.wechat_state != "used":
            if state == "used":
                values["wechat_used_outside"] = True
            coupon._wechat_set_state(state, **values)
        elif values:
            as_ledger(coupon).write(values)

    def _void(self, coupon, reason, number):
        """Override of ``coupon.channel``: `card/code/unavailable`."""
        template = coupon.coupon_template_id
        client = template.account_id._get_client()
        client.card.invalid_code(
            coupon.code,
            card_id=template.remote_id,
            reason=(reason or "")[: const.CARD_MAX_REASON] or None,
        )

    def _is_void(self, coupon):
        """Override of ``coupon.channel``."""
        return self._code_status(coupon) == "UNAVAILABLE"

    def _code_status(self, coupon):
        template = coupon.coupon_template_id
        client = template.account_id._get_client()
        answer = self._get_code(
            client, coupon.code, template.remote_id, check_consume=False
        )
        return answer.status

    # === WRITE-OFF === #

    def _write_off(self, redemption):
        """Override of ``coupon.channel``: `card/code/get`, then `card/code/consume`.

        WeChat has no number for a write-off. The drain asks before it repeats, so
        that a code which is used already when we come here was used by others.
        """
        coupon = redemption.coupon_id
        template = coupon.coupon_template_id
        status = self._code_status(coupon)
        if status == "CONSUMED":
            raise WechatRefused(
                self.env._("The code was used elsewhere before this order."),
                code=const.ERROR_CONSUMED,
            )
        client = template.account_id._get_client()
        try:
            client.card.consume_code(coupon.code, card_id=template.remote_id)
        except WechatRefused as error:
            if error.code == const.ERROR_CONSUMED and redemption.remote_attempts > 1:
                # Perhaps an earlier call of ours arrived late: ask once more.
                raise WechatUnknownOutcome(
                    str(error), code=error.code, request_id=error.request_id
                ) from error
            raise
        return {}

    def _query_write_off(self, redemption):
        """Override of ``coupon.channel``: is the code used, and by us?"""
        coupon = redemption.coupon_id
        if self._code_status(coupon) != "CONSUMED":
            return "not_done"
        if coupon.wechat_used_outside:
            # WeChat told us that somebody else did it; the call will say so too.
            return "not_done"
        return "done"


def _inner(card):
    return card[card["card_type"].lower()]


def _text(value):
    """Return a text of an answer, ``None`` for nothing.

    :raises TypeError: if it is something else
    """
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of a text")
    return value or None


def _count(value):
    """Return a number of an answer as a column can hold it."""
    return max(0, min(int(value or 0), _MAX_INTEGER))


def _fen(value):
    return money.storable(int(value or 0))


def _time_limit(entry):
    """Return the day, and from when until when, of an entry of `time_limit`."""
    begin, end = (
        f"{int(entry.get(f'{edge}_hour') or 0)}:"
        f"{int(entry.get(f'{edge}_minute') or 0):02}"
        for edge in ("begin", "end")
    )
    return [str(entry["type"]), begin, end]


def _timestamp(value):
    return int(pytz.utc.localize(value).timestamp())


def _from_timestamp(value):
    """Return Unix seconds as Odoo keeps a time, ``None`` for nothing."""
    if not value:
        return None
    return datetime.fromtimestamp(int(value), tz=pytz.utc).replace(tzinfo=None)


def _beijing_date(value):
    if not value:
        return False
    return datetime.fromtimestamp(int(value), tz=pytz.timezone(const.WECHAT_TZ)).date()
