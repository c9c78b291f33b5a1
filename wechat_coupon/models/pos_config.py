import re
import time
from hmac import compare_digest
from uuid import uuid4

from odoo import fields, models
from odoo.exceptions import AccessError

from .. import const
from ..tools import codes
from ..tools.cart import OrderRef, parse_cart

_MAX_ID = 2**31 - 1
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class PosConfig(models.Model):
    _inherit = "pos.config"

    # === RPC OF THE TILL === #

    def wechat_coupon_lookup(
        self,
        code,
        order_uuid,
        partner_id,
        cart,
        known_program_ids=None,
        beside=None,
    ):
        """Find a coupon by its code and say whether it fits an order.

        A code that is not known here is asked for at WeChat, and what is found is
        kept. Nothing is held for the order yet.

        :param str code: as scanned or typed
        :param str order_uuid: the order, to tell its own hold from another one's
        :param int partner_id: customer on the order, or ``False``
        :param dict cart: see :mod:`~.tools.cart`, or ``False`` if there is none
        :param list known_program_ids: programs that the till has; their records are
            left out of ``load``
        :param list beside: the other coupons on the order, as in
            :meth:`wechat_coupon_reserve`
        :return: ``ok``; if it is: ``coupon`` (what the till keeps of it),
            ``eligible``, ``reasons`` (``code`` and ``message`` each), ``payload`` (of
            Odoo's `use_coupon_code`) and ``load`` (records of its program); if not:
            ``code``, ``message`` and ``is_coupon``
        :rtype: dict
        """
        order = self._wechat_order(order_uuid, partner_id)
        code = self._wechat_code(code)
        cart = self._wechat_cart(cart) if cart else None
        known = self._wechat_ids(known_program_ids or [], 10_000)
        coupon, problem = self._wechat_find_coupon(code, order.company)
        if not coupon:
            return {
                "ok": False,
                "code": problem,
                "message": self._wechat_message(problem),
                # Nobody knows it as a coupon: it may be something else.
                "is_coupon": False,
            }
        others = self._wechat_beside(order, beside or [])
        reasons = self._wechat_reasons(coupon, order, cart, others)
        if coupon.company_id not in order.companies:
            # Nothing more is told about what another company has issued.
            return {"ok": False, "is_coupon": True, **reasons[0]}
        return {
            "ok": True,
            "coupon": self._wechat_coupon_data(coupon),
            "eligible": not reasons,
            "reasons": reasons,
            "payload": self._wechat_payload(coupon),
            "load": {}
            if coupon.program_id.id in known
            else self._wechat_load(coupon.program_id),
        }

    def wechat_coupon_reserve(self, order_uuid, coupons, cart, partner_id=False):
        """Hold exactly these coupons for an order: all or none.

        :param str order_uuid: the order
        :param list coupons: at most 20 of ``{"id": …, "code": …}``, ids of
            ``loyalty.card``; the code shows that the till has seen the coupon, and
            is not needed for what the order holds; an empty list releases that
        :param dict cart: see :mod:`~.tools.cart`
        :param int partner_id: customer on the order, or ``False``
        :return: ``ok``; if it is: ``expires_at`` (ISO, UTC) and ``redemption_ids``;
            if not: ``refusals`` (``coupon_id``, ``code``, ``message`` and
            ``can_release`` each, see :meth:`wechat_coupon_release_offline`)
        :rtype: dict
        """
        order = self._wechat_order(order_uuid, partner_id)
        shown = self._wechat_shown(coupons)
        cart = self._wechat_cart(cart)
        # sudo: a coupon of another company gets a refusal that says so.
        coupons = self.env["loyalty.card"].sudo().with_context(active_test=False)
        coupons = coupons.search_fetch(
            [("id", "in", list(shown)), ("coupon_template_id", "!=", False)],
            const.COUPON_FIELDS,
        )
        unknown = self._wechat_not_shown(order, coupons, shown)
        if unknown:
            return {"ok": False, "refusals": unknown}
        redemptions, refusals = self.env["coupon.redemption"]._reserve(
            order, coupons, cart
        )
        if refusals:
            return {
                "ok": False,
                "refusals": [
                    {
                        "coupon_id": coupon.id,
                        "code": reason,
                        "message": self._wechat_message(reason, **values),
                        "can_release": reason == "remote_unavailable"
                        and coupon.coupon_template_id.offline_policy == "release",
                    }
                    for coupon, reason, values in refusals
                ],
            }
        held_until = redemptions._held_until()
        return {
            "ok": True,
            "expires_at": held_until.isoformat() + "Z" if held_until else False,
            "redemption_ids": redemptions.ids,
        }

    def wechat_coupon_release(self, order_uuid):
        """Give free what an order holds, e.g. because it was cancelled.

        :rtype: dict
        """
        order = self._wechat_order(order_uuid)
        count = self.env["coupon.redemption"]._release(order)
        return {"ok": True, "released": count}

    def wechat_coupon_status(self, order_uuid):
        """Say what the ledger has for an order.

        :rtype: dict
        """
        order = self._wechat_order(order_uuid)
        # sudo: users of the till do not read the ledger themselves.
        redemptions_sudo = (
            self.env["coupon.redemption"]
            .sudo()
            .search(
                [
                    ("order_uuid", "=", order.uuid),
                    ("company_id", "=", order.company.id),
                    ("state", "!=", "released"),
                ]
            )
        )
        now = fields.Datetime.now()
        return {
            "ok": True,
            "redemptions": [
                {
                    "id": redemption.id,
                    "coupon_id": redemption.coupon_id.id,
                    "template_name": redemption.template_id.name,
                    "state": "released"
                    if redemption.state == "reserved" and redemption.expires_at < now
                    else redemption.state,
                    "expires_at": redemption.expires_at.isoformat() + "Z"
                    if redemption.expires_at
                    else False,
                    "remote_state": redemption.remote_state,
                    "discount_fen": redemption.discount_fen or 0,
                }
                for redemption in redemptions_sudo
            ],
        }

    def wechat_coupon_is_code(self, code):
        """Whether a code is that of a coupon which we know; asks nobody else.

        A till asks for each product with twelve digits, a guesser for every code:
        there is a limit that no cashier reaches, and beyond it the answer is no.

        :rtype: bool
        """
        self._wechat_check_till()
        if self.env["wechat.rate.guard"]._acquire(
            f"coupon_is_code:{self.env.uid}", const.IS_CODE_PER_MINUTE, 60
        ):
            return False
        self.env.cr.execute(
            """
            SELECT 1 FROM loyalty_card
             WHERE code = %s AND coupon_template_id IS NOT NULL
               AND company_id = ANY(%s)
            """,
            # sudo: a cashier need not see the company that the shop belongs to.
            [self._wechat_code(code), self.company_id.sudo().parent_ids.ids],
        )
        return bool(self.env.cr.rowcount)

    def use_coupon_code(self, code, creation_date, partner_id, pricelist_id):
        """Override of `pos_loyalty`: a guarded coupon has more ways to be no good."""
        self.ensure_one()
        # Odoo's own codes may be of any form; one that is no text would be a search.
        if not codes.is_text(code):
            self._wechat_bad_argument("code")
        coupon = self.env["loyalty.card"]
        if len(code) <= codes.MAX_CODE_LENGTH:
            coupon = coupon._wechat_find(code)
        if not coupon:
            result = super().use_coupon_code(
                code, creation_date, partner_id, pricelist_id
            )
            if not result["successful"] and self._wechat_count_miss(code):
                message = self._wechat_message("too_many_tries")
                result["payload"]["error_message"] = message
            return result
        # An order that owns nothing: this says whether the coupon is free.
        order = self._wechat_order(str(uuid4()), partner_id)
        reasons = self._wechat_reasons(coupon, order, None)
        if reasons:
            return {
                "successful": False,
                "payload": {
                    "error_message": reasons[0]["message"],
                    "wechat_reason": reasons[0]["code"],
                },
            }
        return {"successful": True, "payload": self._wechat_payload(coupon)}

    # === ARGUMENTS === #

    def _wechat_check_till(self):
        self.ensure_one()
        self.env["coupon.redemption"]._check_user()
        self.check_access("read")

    def _wechat_order(self, order_uuid, partner_id=False):
        """Return who asks, after checking that he may.

        :rtype: :class:`~.tools.cart.OrderRef`
        """
        self._wechat_check_till()
        if not isinstance(order_uuid, str) or not _UUID.fullmatch(order_uuid):
            self._wechat_bad_argument("order_uuid")
        partner = self.env["res.partner"]
        if partner_id:
            partner = partner.browse(self._wechat_ids([partner_id], 1)).exists()
        return OrderRef(
            uuid=order_uuid,
            company=self.company_id,
            config=self,
            # Which one the order belongs to is known when it is paid.
            session=self.env["pos.session"],
            partner=partner,
        )

    def _wechat_code(self, code):
        if (
            not codes.is_text(code)
            or not 0 < len(code.strip()) <= codes.MAX_CODE_LENGTH
        ):
            self._wechat_bad_argument("code")
        return code.strip()

    def _wechat_shown(self, coupons):
        """Return the codes that the till shows, by the ids of the coupons."""
        limit = const.MAX_COUPONS_PER_ORDER
        if not isinstance(coupons, list | tuple) or len(coupons) > limit:
            self._wechat_bad_argument("coupons")
        if any(not isinstance(one, dict) for one in coupons):
            self._wechat_bad_argument("coupons")
        self._wechat_ids([one.get("id") for one in coupons], limit)
        shown = {one["id"]: one.get("code") or "" for one in coupons}
        if any(not isinstance(code, str) for code in shown.values()):
            self._wechat_bad_argument("coupons")
        return shown

    def _wechat_beside(self, order, coupons):
        """Return the coupons of which the till has shown that it has them."""
        shown = self._wechat_shown(coupons)
        if not shown:
            return self.env["loyalty.card"]
        # sudo: guarded coupons are not for users of the till to read.
        cards_sudo = (
            self.env["loyalty.card"]
            .sudo()
            .search([("id", "in", list(shown)), ("coupon_template_id", "!=", False)])
        )
        good = self._wechat_good(order, cards_sudo, shown)
        return cards_sudo.filtered(lambda card: card.id in good)

    def _wechat_good(self, order, coupons, shown):
        """Return the ids of coupons whose code the till knows, or that it holds."""
        ledger = self.env["coupon.redemption"].sudo()
        holders = ledger._holders(coupons.ids, order.uuid)
        return {
            coupon.id
            for coupon in coupons
            if ledger._holds(holders.get(coupon.id), order)
            or _same(shown[coupon.id], coupon.code)
        }

    def _wechat_not_shown(self, order, coupons, shown):
        """Refuse coupons whose code the till does not know: ids can be counted up.

        :return: refusals as :meth:`wechat_coupon_reserve` returns them
        """
        good = self._wechat_good(order, coupons, shown)
        missing = [coupon_id for coupon_id in shown if coupon_id not in good]
        if not missing:
            return []
        reason = "too_many_tries" if self._wechat_count_miss() else "not_on_order"
        message = self._wechat_message(reason)
        return [
            {"coupon_id": coupon_id, "code": reason, "message": message}
            for coupon_id in missing
        ]

    def _wechat_ids(self, ids, limit):
        if not isinstance(ids, list | tuple) or len(ids) > limit:
            self._wechat_bad_argument("ids")
        if any(
            isinstance(one, bool) or not isinstance(one, int) or not 0 < one <= _MAX_ID
            for one in ids
        ):
            self._wechat_bad_argument("ids")
        return list(dict.fromkeys(ids))

    def _wechat_cart(self, cart):
        try:
            return parse_cart(cart)
        except ValueError as error:
            self._wechat_bad_argument(f"cart ({error})")

    def _wechat_bad_argument(self, name):
        # A till of ours does not send such a thing; no cashier reads this.
        raise AccessError(
            self.env._("The till sent something wrong: %(argument)s.", argument=name)
        )

    # === ANSWERS === #

    def _wechat_message(self, code, **values):
        return self.env["coupon.reason"]._message(code, **values)

    def _wechat_find_coupon(self, code, company):
        """Find a coupon here, otherwise at the channels.

        :return: ``loyalty.card`` record with sudo, and a reason code if it is empty
        """
        cards = self.env["loyalty.card"]
        coupon = cards._wechat_find(code)
        if coupon:
            if coupon.wechat_state in ("waiting", "confirming"):
                # Perhaps received a moment ago, and the callback is on its way.
                self.env["coupon.redemption"]._ask_channel(
                    coupon.coupon_template_id._channel(),
                    coupon,
                    time.monotonic() + const.TILL_DEADLINE,
                )
            return coupon, None
        if codes.is_payment_code(code) or cards._wechat_is_odoos(code):
            return cards, "unknown_code"
        if self.env["wechat.rate.guard"]._acquire(*self._wechat_miss_limit()):
            return cards, "too_many_tries"
        deadline = time.monotonic() + const.TILL_DEADLINE
        problem = "unknown_code"
        for channel in self.env["coupon.template"]._channels():
            coupon, trouble = channel._find_code(code, company, deadline)
            if coupon:
                # A coupon that was new to us is no wrong code.
                self.env["wechat.rate.guard"]._give_back(*self._wechat_miss_limit())
                return coupon.sudo(), None
            problem = trouble or problem
        if problem == "unknown_code" and self._wechat_judge_miss(code):
            problem = "too_many_tries"
        return cards, problem

    def _wechat_miss_limit(self):
        """What `wechat.rate.guard` needs to know to count unknown codes."""
        return (
            f"coupon_miss:{self.id}:{self.env.uid}",
            const.MISSES_PER_MINUTE,
            60,
            const.MISSES_PER_MINUTE // 2,
        )

    def _wechat_count_miss(self, code=None):
        """Count a code that nobody knows; Odoo's own ones are no misses.

        :return: whether there were too many
        """
        if code and self.env["loyalty.card"]._wechat_is_odoos(code):
            return False
        too_fast = self.env["wechat.rate.guard"]._acquire(*self._wechat_miss_limit())
        return bool(self._wechat_judge_miss(code) or too_fast)

    def _wechat_judge_miss(self, code=None):
        return self.env["coupon.risk.rule"]._judge_miss(self, code)

    def _wechat_reasons(self, coupon, order, cart, others=None):
        """Return why a coupon does not fit, as the till is told."""
        if coupon.company_id not in order.companies:
            return [
                {
                    "code": "other_company",
                    "message": self._wechat_message("other_company"),
                }
            ]
        redemptions = self.env["coupon.redemption"].sudo()
        holder = redemptions._holders(coupon.ids).get(coupon.id)
        found = redemptions._holder_refusal(holder, order)
        reasons = [found] if found else []
        reasons += [
            reason
            for reason in coupon._wechat_refusals(
                order, cart, held=redemptions._holds(holder, order)
            )
            if not (found and reason[0] == found[0])
        ]
        reasons += redemptions._reasons_beside(
            order, coupon, others or coupon.browse(), holder
        )
        return [
            {"code": code, "message": self._wechat_message(code, **values)}
            for code, values in reasons
        ]

    def _wechat_coupon_data(self, coupon):
        partner = coupon.partner_id
        return {
            "id": coupon.id,
            "code": coupon.code,
            "program_id": coupon.program_id.id,
            "template_name": coupon.coupon_template_id.name,
            "points": coupon.points,
            "expiration_date": coupon.expiration_date
            and coupon.expiration_date.isoformat(),
            "partner_id": partner.id,
            "partner_name": partner.name or False,
        }

    def _wechat_payload(self, coupon):
        return {
            "program_id": coupon.program_id.id,
            "coupon_id": coupon.id,
            "coupon_partner_id": coupon.partner_id.id,
            "points": coupon.points,
            "has_source_order": coupon._has_source_order(),
        }

    def _wechat_load(self, program):
        """Return the records of a program in the form of ``load_data``."""
        if program not in self._get_program_ids():
            return {}
        program = self.env["loyalty.program"].browse(program.id)
        rewards = program.reward_ids
        products = (
            rewards.discount_line_product_id
            | rewards.reward_product_ids
            | rewards.reward_product_id
        ).with_context(active_test=False)
        records = {
            "product.template": products.product_tmpl_id,
            "product.product": products,
            "loyalty.program": program,
            "loyalty.rule": program.rule_ids,
            "loyalty.reward": rewards,
        }
        return {
            model: self.env[model]._load_pos_data_read(found, self)
            for model, found in records.items()
            if found
        }


def _same(shown, code):
    return compare_digest(shown.encode(errors="replace"), code.encode())
