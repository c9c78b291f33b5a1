import re
import uuid

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

from odoo.addons.wechat_base.const import TILL_PATIENCE
from odoo.addons.wechat_base.tools import money
from odoo.addons.wechat_base.tools.exceptions import WechatConfigError

from .. import const
from ..tools.sentences import sentence

AUTH_CODE = re.compile(r"1[0-5][0-9]{16}")
_MAX_FEN = 10**10
_UNANSWERED = ("sending", "unknown")
_MAX_GOODS = 1000
_MAX_PAYMENTS = 100


class PosPaymentMethod(models.Model):
    _inherit = "pos.payment.method"

    wechat_merchant_id = fields.Many2one(
        "wechat.merchant",
        string="WeChat Pay merchant",
        domain=[("kind", "=", "merchant")],
        check_company=True,
        ondelete="restrict",
        groups="point_of_sale.group_pos_manager",
    )
    wechat_ways = fields.Selection(
        [
            ("both", "Scan the customer's code, or show a QR code"),
            ("codepay", "Scan the customer's code"),
            ("native", "Show a QR code"),
        ],
        string="How customers pay",
        default="both",
    )

    def _get_payment_terminal_selection(self):
        return super()._get_payment_terminal_selection() + [
            ("wechat_pay", self.env._("WeChat Pay"))
        ]

    @api.model
    def _load_pos_data_fields(self, config):
        return [*super()._load_pos_data_fields(config), "wechat_ways"]

    @api.constrains("use_payment_terminal", "wechat_merchant_id")
    def _check_wechat_merchant(self):
        for method in self:
            # sudo: the merchant may be the parent company's.
            if method.use_payment_terminal == "wechat_pay" and not (
                method.sudo().wechat_merchant_id
            ):
                raise ValidationError(
                    self.env._(
                        "Choose the WeChat Pay merchant that receives the money of "
                        "“%s”.",
                        method.name,
                    )
                )

    @api.constrains("wechat_merchant_id")
    def _check_wechat_merchant_kind(self):
        # sudo: see above.
        if "brand" in self.sudo().wechat_merchant_id.mapped("kind"):
            raise ValidationError(
                self.env._("A brand takes no money. Choose a merchant.")
            )

    @api.onchange("use_payment_terminal")
    def _onchange_use_payment_terminal(self):
        result = super()._onchange_use_payment_terminal()
        if self.use_payment_terminal == "wechat_pay" and not self.wechat_merchant_id:
            domain = self.env["wechat.merchant"]._check_company_domain(
                self.company_id or self.env.company
            )
            enabled = [("environment", "!=", "disabled"), ("kind", "=", "merchant")]
            self.wechat_merchant_id = self.env["wechat.merchant"].search(
                fields.Domain.AND([domain, enabled]), limit=1
            )
        return result

    # === CALLED BY THE TILL === #

    def wechat_pay_start(self, payment):
        """Charge a payment code, or get a QR code for the customer.

        Safe to be repeated: a line of the till has one payment that is not over.

        :param dict payment: ``config`` (id), ``order`` and ``line`` (uuids), ``name``
            (of the order, for the customer's phone), ``amount`` (fen to be paid now),
            ``total`` (fen of the whole order), ``way`` (``codepay`` or ``native``),
            ``code`` (the payment code; it is kept nowhere)
        :return: see :meth:`_wechat_status`
        :rtype: dict
        """
        config = self._wechat_check_till(payment)
        way, code = payment.get("way"), payment.get("code")
        if way not in ("codepay", "native") or self.wechat_ways not in ("both", way):
            raise ValidationError(self.env._("This way of paying is not allowed here."))
        if way == "codepay" and not (
            isinstance(code, str) and AUTH_CODE.fullmatch(code)
        ):
            raise ValidationError(
                self.env._("This is not a WeChat payment code. Scan the code again.")
            )
        line = self._wechat_uuid(payment.get("line"))
        last = self._wechat_last(line)
        if last and not last["over"] and last["way"] != way:
            # The customer shows a code instead of scanning ours, or the reverse.
            self._wechat_give_up(last["id"])
            last = self._wechat_last(line)
        if not last or last["over"]:
            attempt = last["attempt"] + 1 if last else 1
            row_id, refusal = self._wechat_open(config, payment, line, way, attempt)
            if refusal:
                return refusal
            last = {"id": row_id, "state": "draft"}
        self._wechat_send(last, way, code)
        return self._wechat_status(last["id"])

    def wechat_pay_status(self, line):
        """Say what is known about the payment of a line, asking WeChat if need be.

        :param str line: uuid
        :return: see :meth:`_wechat_status`; ``{"state": "none"}`` if nothing was ever
            sent
        :rtype: dict
        """
        self._wechat_check_user()
        last = self._wechat_last(self._wechat_uuid(line))
        if not last:
            return {"state": "none"}
        if last["may_ask"]:
            # An order whose answer was lost has no QR code yet; placing it again is
            # harmless.
            is_lost = last["way"] == "native" and last["state"] in _UNANSWERED
            self._wechat_transactions()._work(
                last["id"], "place" if is_lost else "query", patience=TILL_PATIENCE
            )
        return self._wechat_status(last["id"])

    def wechat_pay_cancel(self, line):
        """Give up the payment of a line: close or reverse it.

        When it comes back, the till owes nobody anything: what is not closed yet is
        closed by jobs, and money that arrives in spite of that goes back.

        :param str line: uuid
        :return: see :meth:`_wechat_status`; ``done`` if the customer was faster
        :rtype: dict
        """
        self._wechat_check_user()
        last = self._wechat_last(self._wechat_uuid(line))
        if not last:
            return {"state": "none"}
        self._wechat_give_up(last["id"])
        return self._wechat_status(last["id"])

    def wechat_pay_refund(self, refund):
        """Give money back for goods that a customer returns.

        Safe to be repeated. When WeChat does not answer, jobs go on with it.

        :param dict refund: ``config`` (id), ``order`` and ``line`` (uuids of the
            refunding order and its payment), ``amount`` (fen, positive), ``orders``
            (ids of the orders that are refunded), ``goods`` (list of
            ``[id of the refunded order line, fen]``), ``lines`` (uuids of all
            payments that are on the refunding order)
        :return: ``state`` (``done``, ``waiting``, ``pending`` or ``failed``),
            ``amount`` (fen that go back), ``message`` and ``numbers``
        :rtype: dict
        """
        config = self._wechat_check_till(refund)
        line = self._wechat_uuid(refund.get("line"))
        ids, refusal = self._wechat_open_refunds(config, refund, line)
        for row_id in ids:
            self._wechat_transactions()._work(row_id, "query", patience=TILL_PATIENCE)
        status = self._wechat_refund_status(ids)
        return {**status, "state": "failed", "message": refusal} if refusal else status

    # === HELPERS === #

    def _wechat_transactions(self):
        # sudo: the till's users do not read transactions; they get what a line needs.
        return self.env["wechat.pay.transaction"].sudo()

    def _wechat_last(self, line):
        """Return what is known about the last payment of a line of the till.

        Read in a transaction of its own: other calls of the same till commit while
        this one runs.

        :return: ``id``, ``way``, ``state``, ``attempt``, ``over`` (nothing comes of
            it any more) and ``may_ask``; ``None`` if there is no payment
        """
        method_id = self.id

        def read(model):
            row = model._pos_row(method_id, line)
            return row and {
                "id": row.id,
                "way": row.way,
                "state": row.state,
                "attempt": row.pos_attempt,
                "over": row.abandoned or row.state in ("failed", "cancelled"),
                "may_ask": row._pos_may_ask(),
            }

        return self._wechat_transactions()._drain_in_own_transaction(read) or None

    def _wechat_send(self, last, way, code):
        """Charge the code or place the order, if that is still to be done."""
        wish, args = ("charge", (code,)) if way == "codepay" else ("place", ())
        to_send = ("draft",) if way == "codepay" else ("draft", *_UNANSWERED)
        if last["state"] in to_send:
            self._wechat_transactions()._work(
                last["id"], wish, *args, patience=TILL_PATIENCE
            )

    def _wechat_give_up(self, row_id):
        """Close or reverse a payment; leave to jobs what takes longer."""
        transactions = self._wechat_transactions()
        if transactions._drain_in_own_transaction(
            lambda model: model.browse(row_id)._give_up()
        ):
            transactions._work(row_id, patience=TILL_PATIENCE)
            transactions._drain_in_own_transaction(
                lambda model: model.browse(row_id)._abandon()
            )

    def _wechat_check_user(self):
        self.ensure_one()
        if not self.env.user.has_group("point_of_sale.group_pos_user"):
            raise AccessError(self.env._("Only users of the till may take payments."))
        self.check_access("read")
        if self.use_payment_terminal != "wechat_pay":
            raise ValidationError(self.env._("This is not a WeChat Pay method."))

    def _wechat_check_till(self, payment):
        """Check who calls and what every call has.

        :return: the ``pos.config``
        """
        self._wechat_check_user()
        if not isinstance(payment, dict):
            raise ValidationError(self.env._("A payment is expected."))
        config_id, amount = payment.get("config"), payment.get("amount")
        config = self.env["pos.config"].browse(
            config_id if type(config_id) is int else 0
        )
        if not config.exists():
            raise ValidationError(self.env._("The shop is not known."))
        config.check_access("read")
        if config.current_session_id.state != "opened":
            raise UserError(self.env._("Open the till's session first."))
        if self not in config.payment_method_ids:
            raise ValidationError(
                self.env._("“%s” is not a payment method of this shop.", self.name)
            )
        if config.currency_id.name != "CNY":
            raise UserError(
                self.env._("WeChat Pay takes yuan; this shop's currency is another.")
            )
        if type(amount) is not int or not 0 < amount < _MAX_FEN:
            raise ValidationError(self.env._("The amount must be more than 0."))
        return config

    @api.model
    def _wechat_uuid(self, value):
        try:
            return str(uuid.UUID(value if isinstance(value, str) else ""))
        except ValueError:
            raise ValidationError(
                self.env._("The payment has no valid number. Reload the till.")
            ) from None

    def _wechat_open(self, config, payment, line, way, attempt):
        """Store a new payment of the till.

        :param int attempt: the line's payments before this one are over
        :return: (id, ``None``), or (``None``, answer for the till that says why not)
        """
        order, total = self._wechat_uuid(payment.get("order")), payment.get("total")
        if type(total) is not int:
            raise ValidationError(self.env._("The order's total is missing."))
        transactions = self._wechat_transactions()
        # sudo: cashiers do not see the merchant.
        merchant_sudo = self.sudo().wechat_merchant_id
        try:
            appid = merchant_sudo._pay_appid()
            merchant_sudo._check_enabled()
        except WechatConfigError as error:
            message = f"{sentence(self.env._, 'config')} ({error})"
            return None, self._wechat_refusal(message, "config")
        vals = {
            "kind": "payment",
            "way": way,
            "number": transactions._new_number(line, attempt),
            "merchant_id": merchant_sudo.id,
            "appid": appid,
            "driver": merchant_sudo.codepay_driver if way == "codepay" else "v3",
            "company_id": config.company_id.id,
            "currency_id": config.currency_id.id,
            "description": f"{config.name} {payment.get('name') or ''}".strip(),
            "amount_fen": payment["amount"],
            "pos_config_id": config.id,
            "pos_session_id": config.current_session_id.id,
            "pos_order_uuid": order,
            "pos_payment_uuid": line,
            "pos_attempt": attempt,
            "pos_method_id": self.id,
            "user_id": self.env.uid,
            "next_at": transactions._in(const.GRACE_SECONDS * 2),
            "expires_at": transactions._in(const.QR_MINUTES["pos"] * 60)
            if way == "native"
            else False,
        }
        row_id, refused = transactions._drain_in_own_transaction(
            lambda model: model._pos_open(vals, total)
        )
        if row_id:
            return row_id, None
        last = self._wechat_last(line)
        if last and not last["over"]:
            # The same call, sent twice, was faster.
            return last["id"], None
        return None, self._wechat_refuse_order(refused, total)

    def _wechat_refuse_order(self, refused, total):
        """Refuse what would charge an order twice.

        :param refused: see ``wechat.pay.transaction._pos_open``
        """
        if refused == "closed":
            return self._wechat_refusal(
                self.env._(
                    "This order was finished or cancelled already, perhaps at another "
                    "till. Nothing was charged. Reload the till to see it."
                ),
                "closed",
            )
        if refused == "busy":
            return self._wechat_refusal(
                self.env._(
                    "Another payment of this order is in progress at a till. Finish "
                    "or cancel it there first."
                ),
                "busy",
            )
        return self._wechat_refusal(
            self.env._(
                "This order has been paid with WeChat already: %(paid)s of %(total)s "
                "yuan. Look at its payments, perhaps on the other till, before you "
                "charge the customer again.",
                paid=money.format_fen(refused),
                total=money.format_fen(total),
            ),
            "paid_already",
        )

    @api.model
    def _wechat_refusal(self, message, code):
        return {"state": "failed", "message": message, "error": code, "number": False}

    def _wechat_status(self, row_id):
        """Return what the till shows about a payment.

        :return: ``state`` (of ``wechat.pay.transaction``), ``number``, ``way``,
            ``amount``, ``payer_total`` (fen), ``message`` (a sentence for the
            cashier, or empty), ``error`` (code), ``code_url``, ``seconds`` (left to
            pay), ``transaction_id``, ``promotions`` (``name``, ``amount`` in fen,
            ``type``)
        :rtype: dict
        """
        method_id, lang = self.id, self.env.context.get("lang") or self.env.user.lang

        def read(model):
            row = model.with_context(lang=lang).browse(row_id)
            return row._pos_status() if row.pos_method_id.id == method_id else {}

        # What the steps have committed is newer than what this request can see.
        return self._wechat_transactions()._drain_in_own_transaction(read)

    # === REFUNDS === #

    def _wechat_open_refunds(self, config, refund, line):
        """Store what a line still lacks, a refund for each payment it is taken from.

        :return: ids, and a sentence that says why no more is given back, or ``""``
        """
        orders = refund.get("orders")
        if not isinstance(orders, list) or not all(type(o) is int for o in orders):
            raise ValidationError(self.env._("The refunded order is missing."))
        found = self.env["pos.order"].browse(orders).exists()
        found.check_access("read")
        goods = self._wechat_goods(refund.get("goods"), found)
        vals = {
            "pos_config_id": config.id,
            "pos_session_id": config.current_session_id.id,
            "pos_order_uuid": self._wechat_uuid(refund.get("order")),
            "pos_payment_uuid": line,
            "pos_method_id": self.id,
            "user_id": self.env.uid,
        }
        lines = refund.get("lines") or []
        if not isinstance(lines, list) or len(lines) > _MAX_PAYMENTS:
            raise ValidationError(self.env._("A payment is expected."))
        lines = [self._wechat_uuid(one) for one in lines]
        company, amount, lang = found.company_id, refund["amount"], self.env.user.lang
        if company != config.company_id:
            raise ValidationError(self.env._("The refunded order is missing."))
        order_ids = found.ids

        def store(model):
            model = model.with_context(lang=lang)
            return model._pos_refund(order_ids, amount, goods, vals, lines)

        in_own = self._wechat_transactions()._drain_in_own_transaction
        try:
            return in_own(store), ""
        except UserError as error:
            # The till has to learn what has gone back in spite of that: nothing, and
            # the line is free, or a part.
            return in_own(lambda model: model._pos_refunds(vals)[0].ids), str(error)

    def _wechat_goods(self, goods, orders):
        """Return ``{order line id: fen}`` of what comes back, checked."""
        if not isinstance(goods, list) or not 0 < len(goods) <= _MAX_GOODS:
            raise ValidationError(self.env._("The refunded products are missing."))
        result = {}
        known = set(orders.lines.ids)
        for item in goods:
            if not (
                isinstance(item, list)
                and len(item) == 2
                and all(type(value) is int for value in item)
                and item[1] > 0
                and item[0] in known
            ):
                raise ValidationError(
                    self.env._("The refunded products are not those of the order.")
                )
            result[str(item[0])] = result.get(str(item[0]), 0) + item[1]
        return result

    def _wechat_refund_status(self, ids):
        lang = self.env.context.get("lang") or self.env.user.lang

        def read(model):
            return model.with_context(lang=lang).browse(ids)._pos_refund_status()

        return self._wechat_transactions()._drain_in_own_transaction(read)
