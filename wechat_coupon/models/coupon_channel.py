from odoo import api, models
from odoo.exceptions import UserError


class CouponChannel(models.AbstractModel):
    """Where a template lives. One model per channel inherits this one.

    Verbs that change something at the other side (``_publish``, ``_end``, ``_void``,
    ``_write_off``) are called by the drain of ``wechat.operation`` only, so that
    their number is stored before the call. Each has a verb that asks what became of
    a call without an answer.
    """

    _name = "coupon.channel"
    _description = "Coupon Channel"

    # What the channel can do.
    _is_remote = False  # somebody else has to be told
    _can_generate = False  # we make the codes
    _asks_before_reserve = False  # knows better than we whether a code is good
    _needs_write_off = False  # has to be told that a coupon is used
    _can_return = False  # takes back a coupon that was used
    _starts_apart = False  # what is published is not handed out yet
    _in_payment = False  # WeChat takes it off inside the payment; no till scans it
    _needs_wechat_payment = False  # goes with a WeChat payment of the same order
    _pauses_there = False  # is told when a template is paused
    _first_step = "publish"  # kind of task with which publishing begins
    _uses_merchant = False  # lives at a WeChat Pay merchant, not only at an account
    # Fields of a published template that may still change; the channel is told.
    _updatable = frozenset()

    @api.model
    def _rate_key(self, template):
        """Return what shares WeChat's limit with the template."""
        return f"card:{template.account_id.id}"

    # === TEMPLATES === #

    def _check_publish(self, template):
        """Refuse a template that the channel would not take.

        :raises UserError: a sentence that names the field
        """

    def _check_stock(self, template):
        """Refuse a number of pieces that the channel would not take, also later on.

        :raises UserError: which numbers it takes
        """

    def _publish(self, template, number):
        """Make the template known to the channel; only remote ones are asked.

        :param str number: stored before; the same for every attempt
        :return: values to write on the template
        :rtype: dict
        """
        raise NotImplementedError()

    def _find_published(self, template, since):
        """Look for what became of a :meth:`_publish` without an answer.

        :param datetime since: when it was ordered
        :return: values to write on the template, or ``None`` if it is not there
        """
        return None

    def _update(self, template, number):
        """Tell the channel what a published template shows now.

        :param str number: see :meth:`_publish`
        :return: values to write on the template
        :rtype: dict
        """
        return {}

    def _is_updated(self, template):
        """Whether the channel shows what the template says."""
        return True

    def _change_stock(self, template, number):
        """Have the channel hand out as many coupons in all as the template says.

        :param str number: see :meth:`_publish`
        :return: values to write on the template
        :rtype: dict
        """
        return {}

    def _is_stock_changed(self, template):
        """Whether the channel has the template's stock.

        :return: as ``wechat.operation._operation_query``, or a boolean
        """
        return True

    def _start(self, template, number):
        """Let a published template be handed out, where that is a step of its own.

        :return: values to write on the template
        """
        return {}

    def _is_started(self, template):
        """Whether the template is handed out."""
        return True

    def _deposit_codes(self, template, codes, number):
        """Bring codes of our own to the channel; those that it has are left alone.

        :param str number: see :meth:`_publish`
        :param list codes: as many as the channel takes at once
        """

    def _are_deposited(self, template, codes):
        """Whether the channel has all of these codes."""
        return True

    def _claim_url(self, template):
        """Return the address that a customer opens to receive a coupon, or ``None``."""
        return None

    def _follow_pause(self, template, number):
        """Have the channel hand out, or not, as the template's state says.

        Only channels with ``_pauses_there`` are asked.

        :param str number: see :meth:`_publish`
        :return: values to write on the template
        """
        raise NotImplementedError()

    def _is_pause_followed(self, template):
        """Whether the channel hands out, or not, as the template's state says."""
        return True

    def _end(self, template, number):
        """Stop handing out coupons; those that customers hold stay good.

        :param str number: see :meth:`_publish`
        """

    def _is_ended(self, template):
        """Whether no more coupons are handed out."""
        return True

    @api.model
    def _pull(self, account):
        """Copy the templates of a remote account to ours; remote channels only.

        :return: ``coupon.template`` records that are new, those that were known,
            how many of another kind were left out, and how many could not be read
        :rtype: tuple
        """
        raise NotImplementedError()

    def _refresh(self, template):
        """Compare one template with the channel."""

    def _limits_text(self, limits):
        """Say what the channel tells customers and leaves to the shop to keep to.

        :param dict limits: ``remote_limits`` of a template
        :return: a sentence per line
        :rtype: str
        """
        return ""

    # === HANDING OUT === #

    def _check_hand_out(self, template):
        """Refuse a hand-out to customers that the channel cannot make.

        :raises UserError: if customers have to take the coupon themselves
        """
        raise UserError(
            self.env._(
                "Customers take “%(template)s” themselves: give them its link or its "
                "QR code.",
                template=template.name,
            )
        )

    def _hand_out(self, issues):
        """Give each of the customers of planned rows a coupon, or order that.

        :param issues: ``coupon.issue`` records of one template, all with a customer
        """
        raise NotImplementedError()

    # === COUPONS === #

    @api.model
    def _find_code(self, code, company, deadline):
        """Ask the channel for a code that we do not know, and mirror it.

        :param str code: as scanned
        :param company: ``res.company`` that asks
        :param float deadline: ``time.monotonic()`` by which to answer
        :return: ``loyalty.card`` record, maybe empty, and a reason code or ``None``
        :rtype: tuple
        """
        return self.env["loyalty.card"], None

    def _query(self, coupon, timeout=None):
        """Ask the channel whether a coupon can be used now.

        :param coupon: ``loyalty.card`` record
        :param float timeout: seconds
        :return: ``None`` if it can, otherwise a reason code
        :raises WechatError: if the channel gives no answer
        """
        return None

    def _check_void(self):
        """Refuse to make coupons unusable that the channel would still take.

        :raises UserError: if the channel has no way to do it
        """

    def _void(self, coupon, reason, number):
        """Make a coupon unusable at the channel.

        :param str number: see :meth:`_publish`
        :param str reason: why, for channels that pass it on
        """

    def _is_void(self, coupon):
        """Whether a coupon is unusable at the channel."""
        return True

    # === REDEMPTIONS === #

    def _write_off(self, redemption):
        """Tell the channel that the coupon of a redemption is used.

        :return: values to write on the redemption
        :rtype: dict
        """
        return {}

    def _query_write_off(self, redemption):
        """Ask the channel whether a write-off without an answer was done.

        :return: ``"done"``, ``"not_done"`` or ``"unknown"``
        :rtype: str
        """
        return "done"

    def _return_at_channel(self, redemption, number):
        """Have the channel give a used coupon back to its holder.

        Only channels with ``_can_return`` are asked.

        :param str number: stored before; the same for every attempt
        """
        raise NotImplementedError()

    def _is_returned(self, redemption, number):
        """Whether a :meth:`_return_at_channel` without an answer was done."""
        return False
