from odoo import models
from odoo.exceptions import UserError

from ..tools.ledger import as_ledger


class WechatEventCards(models.AbstractModel):
    """The callbacks about cards that nobody handles: the end of each ``super()``.

    Add-ons for other kinds of cards extend the same handlers.
    """

    _name = "wechat.event.cards"
    _description = "WeChat Callbacks about Cards"

    def _handle_user_get_card(self):
        """Somebody has received a coupon, perhaps as a gift."""
        return False

    def _handle_user_gifting_card(self):
        """Somebody gives a coupon away, or gets it back."""
        return False

    def _handle_user_del_card(self):
        """Somebody has deleted a coupon from the wallet."""
        return False

    def _handle_user_consume_card(self):
        """A coupon was used, here or elsewhere."""
        return False

    def _handle_card_pass_check(self):
        """WeChat's review has accepted a card."""
        return False

    def _handle_card_not_pass_check(self):
        """WeChat's review has refused a card."""
        return False

    def _handle_card_sku_remind(self):
        """A card is nearly or quite given out."""
        return False


class WechatEvent(models.Model):
    """What customers do with coupons on their phones.

    WeChat repeats events and does not keep their order. So each handler looks at
    the time at which it happened, and a coupon that is unknown is made in the state
    that the event tells: a later, older event then changes nothing.
    """

    _name = "wechat.event"
    _inherit = ["wechat.event", "wechat.event.cards"]

    # === HANDLERS === #

    def _handle_user_get_card(self):
        """Somebody has received a coupon, perhaps as a gift."""
        handled = super()._handle_user_get_card()
        return self._coupon_handle(handled, self._coupon_received)

    def _handle_user_gifting_card(self):
        """Somebody gives a coupon away, or gets it back."""
        handled = super()._handle_user_gifting_card()
        return self._coupon_handle(handled, self._coupon_gifting)

    def _handle_user_del_card(self):
        """Somebody has deleted a coupon from the wallet."""
        handled = super()._handle_user_del_card()
        return self._coupon_handle(handled, self._coupon_deleted)

    def _handle_user_consume_card(self):
        """A coupon was used, here or elsewhere."""
        handled = super()._handle_user_consume_card()
        return self._coupon_handle(handled, self._coupon_consumed)

    def _handle_card_pass_check(self):
        """WeChat's review has accepted a card."""
        handled = super()._handle_card_pass_check()
        return self._coupon_handle(handled, self._coupon_passed)

    def _handle_card_not_pass_check(self):
        """WeChat's review has refused a card."""
        handled = super()._handle_card_not_pass_check()
        return self._coupon_handle(handled, self._coupon_not_passed)

    def _handle_card_sku_remind(self):
        """A card is nearly or quite given out."""
        handled = super()._handle_card_sku_remind()
        return self._coupon_handle(handled, self._coupon_sku)

    def _coupon_handle(self, handled, method):
        """Handle an event if its card is a coupon; others may handle it as well.

        :param handled: ``False`` if none of the handlers below wanted the event
        :param method: takes the ``coupon.template`` record
        :return: ``False`` if nobody wants the event
        """
        self.ensure_one()
        template = self._coupon_template()
        if template:
            method(template)
            return None
        return handled

    def _coupon_template(self):
        """Return the template of the event's card, empty if there is none.

        Cards that were never fetched are left out: their coupons are found when
        the first one is scanned.

        :raises UserError: if the template is just being published; the event is
            tried again
        """
        card_id = self._payload().get("CardId")
        templates = self.env["coupon.template"]
        if not (card_id and self.account_id):
            return templates
        template = self.env["coupon.channel.card"]._templates(self.account_id, card_id)
        if not template and self.env["coupon.task"].search_count(
            [
                ("kind", "=", "publish"),
                ("template_id.account_id", "=", self.account_id.id),
                ("remote_state", "in", ("pending", "sending", "unknown")),
            ],
            limit=1,
        ):
            raise UserError(
                self.env._(
                    "A coupon of this account is being published; the callback may be "
                    "about it."
                )
            )
        return template

    # === COUPONS === #

    def _coupon_received(self, template):
        payload, happened_at = self._payload(), self._created_at()
        code, old_code = payload.get("UserCardCode"), payload.get("OldUserCardCode")
        old = self.env["loyalty.card"]
        if old_code and old_code != code:
            old = self._coupon_given(template, old_code, happened_at)
        coupon = self._coupon(template, code)
        identity = self._touch_identity()
        owner = {
            "wechat_identity_id": identity.id,
            "wechat_openid": self.openid,
            "partner_id": identity.partner_id.id,
        }
        if not coupon:
            begin, end = (
                (old.wechat_valid_from, old.wechat_valid_to)
                if old.wechat_valid_to
                else template._validity(happened_at)
            )
            self._coupon_make(
                template,
                {
                    **owner,
                    "code": code,
                    "wechat_outer_str": payload.get("OuterStr"),
                    "wechat_valid_from": begin,
                    "wechat_valid_to": end,
                    "wechat_event_time": happened_at,
                },
            )
            return
        if coupon.wechat_event_time and coupon.wechat_event_time >= happened_at:
            if not coupon.wechat_openid:
                # Later events came first; they do not tell who received it.
                as_ledger(coupon).write(owner)
            return
        if coupon.wechat_state in ("waiting", "gifting", "gifted", "deleted"):
            # A code of our own making stays the same when it changes hands.
            coupon._wechat_set_state("usable", **owner, wechat_event_time=happened_at)
        else:
            as_ledger(coupon).write({**owner, "wechat_event_time": happened_at})

    def _coupon_given(self, template, code, happened_at):
        """A friend has accepted the coupon: its old code is good no more."""
        return self._coupon_move(
            template, code, "gifted", ("usable", "gifting"), happened_at
        )

    def _coupon_gifting(self, template):
        payload = self._payload()
        if str(payload.get("IsReturnBack") or "0") == "1":
            self._coupon_move(
                template,
                payload.get("UserCardCode"),
                "usable",
                ("gifting",),
                self._created_at(),
            )
        else:
            self._coupon_move(
                template,
                payload.get("UserCardCode"),
                "gifting",
                ("usable",),
                self._created_at(),
            )

    def _coupon_deleted(self, template):
        self._coupon_move(
            template,
            self._payload().get("UserCardCode"),
            "deleted",
            ("usable", "gifting"),
            self._created_at(),
        )

    def _coupon_consumed(self, template):
        payload = self._payload()
        code = payload.get("UserCardCode")
        coupon = self._coupon(template, code)
        source = payload.get("ConsumeSource")
        redeemed = self.env["coupon.redemption"].search_count(
            [
                ("coupon_id", "in", coupon.ids),
                ("state", "in", ("redeemed", "conflict")),
            ],
            limit=1,
        )
        if redeemed and source == "FROM_API":
            # Our own write-off, perhaps before its answer.
            return
        if coupon.wechat_used_outside:
            return
        if not coupon:
            coupon = self._coupon_insert(template, code, "used", self._created_at())
        coupon._wechat_set_state("used", wechat_used_outside=True)

    def _coupon(self, template, code):
        coupon = self.env["loyalty.card"]._wechat_find(code) if code else None
        if coupon and coupon.coupon_template_id != template:
            raise UserError(
                self.env._(
                    "Code %(code)s belongs to another coupon template.", code=code
                )
            )
        return coupon or self.env["loyalty.card"].sudo()

    def _coupon_insert(self, template, code, state, happened_at):
        begin, end = template._validity(happened_at)
        return self._coupon_make(
            template,
            {
                "code": code,
                "wechat_valid_from": begin,
                "wechat_valid_to": end,
                "wechat_event_time": happened_at,
            },
            state=state,
        )

    def _coupon_make(self, template, row, state="usable"):
        """Make the coupon of an event.

        :raises UserError: if a card of Odoo's own has the code: somebody has to
            decide which of the two goes
        """
        made = self.env["loyalty.card"]._wechat_insert(template, [row], state=state)
        if not made and not made._wechat_find(row["code"]):
            raise UserError(
                self.env._(
                    "Code %(code)s of WeChat is also the code of a loyalty card that "
                    "is no WeChat coupon. Change that card's code, then process the "
                    "callback again.",
                    code=row["code"],
                )
            )
        return made

    def _coupon_move(self, template, code, state, sources, happened_at):
        """Move a coupon to another state, unless something newer is known.

        :param str code: code of the coupon; one that is unknown is made
        :param str state: new state
        :param tuple sources: states from which it may come
        :param datetime happened_at: when the event happened
        :return: ``loyalty.card`` record
        """
        coupon = self._coupon(template, code)
        if not coupon:
            return self._coupon_insert(template, code, state, happened_at)
        newer = coupon.wechat_event_time and coupon.wechat_event_time > happened_at
        if newer:
            return coupon
        if coupon.wechat_state in sources:
            coupon._wechat_set_state(state, wechat_event_time=happened_at)
        elif coupon._wechat_state_if_given_back() in sources:
            # A paid order has it. If that order gives it back, this is what it is.
            as_ledger(coupon).write(
                {"wechat_told_state": state, "wechat_event_time": happened_at}
            )
        return coupon

    # === TEMPLATES === #

    def _coupon_passed(self, template):
        self._coupon_reviewed(template, passed=True)

    def _coupon_not_passed(self, template):
        self._coupon_reviewed(template, passed=False)

    def _coupon_reviewed(self, template, passed):
        happened_at = self._created_at()
        if template.remote_event_at and template.remote_event_at > happened_at:
            return
        reason = False if passed else (self._payload().get("RefuseReason") or "")
        status = "CARD_STATUS_VERIFY_OK" if passed else "CARD_STATUS_VERIFY_FAIL"
        template._write_guarded(
            {
                "remote_event_at": happened_at,
                "remote_status": status,
                "state_reason": reason,
            }
        )
        template._follow_remote("live" if passed else "draft")

    def _coupon_sku(self, template):
        template.sudo().message_post(
            body=self.env._(
                "WeChat reports the stock: %(detail)s",
                detail=self._payload().get("Detail") or "",
            )
        )
