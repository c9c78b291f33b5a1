from odoo import api, fields, models
from odoo.exceptions import UserError

# Kinds that make a coupon at WeChat, or are the step before.
_PUBLISHING: tuple[str, ...] = ("picture", "publish")


class CouponTask(models.Model):
    """Something to be changed at a channel, other than a write-off."""

    _name = "coupon.task"
    _description = "Coupon Task"
    _inherit = ["wechat.operation"]
    _order = "id desc"
    _rec_name = "kind"

    _operation_rate_family = "card"

    kind = fields.Selection(
        selection=[
            ("publish", "Publish"),
            ("start", "Start handing out"),
            ("pause", "Pause or go on"),
            ("end", "Stop handing out"),
            ("update", "Change what the phone shows"),
            ("stock", "Change the stock"),
            ("deposit", "Bring codes"),
            ("void", "Make invalid"),
        ],
        required=True,
        readonly=True,
    )
    template_id = fields.Many2one(
        "coupon.template", required=True, readonly=True, index=True, ondelete="cascade"
    )
    coupon_id = fields.Many2one(
        "loyalty.card", readonly=True, index="btree_not_null", ondelete="cascade"
    )
    company_id = fields.Many2one(
        related="template_id.company_id", store=True, index=True
    )
    reason = fields.Char(readonly=True)
    coupon_ids = fields.Many2many(
        "loyalty.card", string="Codes", readonly=True, help="Those that are brought."
    )

    # The last order to WeChat about a template, among one task for each void coupon.
    _template_idx = models.Index(
        "(template_id, id) "
        "WHERE kind IN "
        "('picture', 'publish', 'start', 'pause', 'end', 'update', 'stock')",
    )

    @api.model
    def _start_once(self, kind, template):
        """Order a change that tells how things shall be; one that waits is enough."""
        # sudo: see _start.
        waiting = self.sudo().search(
            [
                ("kind", "=", kind),
                ("template_id", "=", template.id),
                ("remote_state", "=", "pending"),
            ],
            limit=1,
        )
        return waiting or self._start(kind, template)

    @api.model
    def _start(self, kind, template, coupons=None, reason=None):
        """Order a change at the channel of a template; it is made after the commit.

        :param str kind: a value of ``kind``
        :param template: ``coupon.template`` record
        :param coupons: ``loyalty.card`` records of the template, for kinds that
            concern single coupons: each gets a task
        :param str reason: for kinds that need one
        :return: the tasks
        """
        vals = {"kind": kind, "template_id": template.id, "reason": reason}
        # sudo: only the templates' and coupons' own methods make tasks.
        tasks = self.sudo().create(
            [vals]
            if coupons is None
            else [{**vals, "coupon_id": coupon.id} for coupon in coupons]
        )
        tasks._operation_prepare()
        tasks._operation_enqueue()
        template.invalidate_recordset(["task_state", "task_error"])
        return tasks

    def action_retry(self):
        """Try again what WeChat refused, after its cause is gone."""
        self.env["coupon.template"]._check_manager()
        self.check_access("read")
        tasks = self._check_not_under_way()
        for task in tasks.filtered(lambda one: one.kind in _PUBLISHING):
            task._check_publish_again()
        # sudo: only the templates' and coupons' own methods write tasks.
        return tasks.sudo().action_operation_retry()

    def _check_not_under_way(self):
        """Return the tasks that no job is about to carry out, or does so now.

        One that waits after a failure may be hurried.

        :raises UserError: if there are none
        """
        now = fields.Datetime.now()
        under_way = self.filtered(
            lambda one: (
                one.remote_state == "sending"
                or one.remote_state in ("pending", "unknown")
                and (not one.remote_next_at or one.remote_next_at <= now)
            )
        )
        if under_way and under_way == self:
            raise UserError(
                self.env._("The coupon is already on its way to WeChat. Please wait.")
            )
        return self - under_way

    def _check_publish_again(self):
        """Refuse to make a coupon at WeChat that is there, or about to be.

        :raises UserError: with what to do instead
        """
        template = self.template_id
        if template.state != "draft" or template.remote_id:
            raise UserError(
                self.env._(
                    "“%(template)s” is at WeChat already.", template=template.name
                )
            )
        # sudo: see _start.
        later = self.sudo().search_count(
            [
                ("template_id", "=", template.id),
                ("kind", "in", _PUBLISHING),
                ("id", ">", self.id),
            ],
            limit=1,
        )
        if later:
            raise UserError(
                self.env._(
                    "“%(template)s” was published once more since. Look at the last "
                    "request of it.",
                    template=template.name,
                )
            )

    def _operation_rate_key(self):
        """Override of ``wechat.operation``: WeChat's limits are per account."""
        return self.template_id._channel()._rate_key(self.template_id)

    def _operation_call(self):
        """Override of ``wechat.operation``."""
        self.ensure_one()
        return getattr(self, f"_call_{self.kind}")(self.template_id._channel()) or {}

    def _call_publish(self, channel):
        return {"result": channel._publish(self.template_id, self.request_no)}

    def _call_start(self, channel):
        return {"result": channel._start(self.template_id, self.request_no)}

    def _query_start(self, channel):
        return channel._is_started(self.template_id)

    def _call_end(self, channel):
        channel._end(self.template_id, self.request_no)

    def _call_update(self, channel):
        return {"result": channel._update(self.template_id, self.request_no)}

    def _call_stock(self, channel):
        return {"result": channel._change_stock(self.template_id, self.request_no)}

    def _call_deposit(self, channel):
        channel._deposit_codes(
            self.template_id, self.coupon_ids.mapped("code"), self.request_no
        )

    def _call_void(self, channel):
        channel._void(self.coupon_id, self.reason, self.request_no)

    def _operation_query(self):
        """Override of ``wechat.operation``."""
        self.ensure_one()
        found = getattr(self, f"_query_{self.kind}")(self.template_id._channel())
        if isinstance(found, bool):
            return "done" if found else "not_done"
        return found

    def _query_publish(self, channel):
        found = channel._find_published(self.template_id, self.create_date)
        return ("done", {"result": found}) if found else "not_done"

    def _query_end(self, channel):
        return channel._is_ended(self.template_id)

    def _query_update(self, channel):
        return channel._is_updated(self.template_id)

    def _query_stock(self, channel):
        return channel._is_stock_changed(self.template_id)

    def _query_deposit(self, channel):
        return channel._are_deposited(self.template_id, self.coupon_ids.mapped("code"))

    def _query_void(self, channel):
        return channel._is_void(self.coupon_id)

    def _operation_record_done(self, vals):
        """Override of ``wechat.operation``: the result is the template's."""
        vals = dict(vals)
        result = dict(vals.pop("result", None) or {})
        done = super()._operation_record_done(vals)
        if self.kind == "publish" and result:
            self._published(result)
        elif result:
            state = result.pop("state", None) or self.template_id.state
            self.template_id._set_state(state, result)
        return done

    def _operation_done(self, vals):
        """Override of ``wechat.operation``: what follows the order."""
        res = super()._operation_done(vals)
        if self.kind == "publish" and self.template_id._channel()._starts_apart:
            self._start("start", self.template_id)
        elif self.kind == "deposit":
            # Codes that WeChat has, and no pieces: nobody could receive one.
            self.template_id._codes_deposited()
        return res

    def _published(self, result):
        """Write what was made at the channel on the template.

        :param dict result: values of the template
        """
        # The template's history is read by whoever ordered this.
        template = self.template_id.with_context(lang=self.create_uid.lang)
        twin = template.with_context(active_test=False).search(
            [
                ("channel", "=", template.channel),
                ("account_id", "=", template.account_id.id),
                ("merchant_id", "=", template.merchant_id.id),
                ("remote_id", "=", result["remote_id"]),
                ("id", "!=", template.id),
            ],
            limit=1,
        )
        if twin:
            # Somebody fetched the card in the moment between WeChat's answer and
            # now. It cannot have two templates; the one that was first stays.
            message = self.env._(
                "WeChat has made this coupon, and it was fetched as “%(template)s” "
                "already. Use that template, and do not publish this one again.",
                template=twin.name,
            )
            template._write_guarded({"state_reason": message})
            return
        template._set_state(result.pop("state", "review"), result)

    def _operation_refused(self, error):
        """Override of ``wechat.operation``: whoever ordered it reads why."""
        self.ensure_one()
        if self.kind == "void":
            self._void_refused(error)
        else:
            self.template_id._write_guarded({"state_reason": str(error)})

    def _void_refused(self, error):
        """The coupon is no good here, but WeChat goes on showing it."""
        message = self.env._(
            "WeChat did not make coupon %(code)s invalid, so the customer still sees "
            "it there; our tills refuse it. WeChat says: %(error)s",
            code=self.coupon_id.code,
            error=error,
        )
        # sudo: the coupon's history and the to-do are for those who may read them.
        self.coupon_id.sudo().message_post(body=message)
        self.template_id.sudo().activity_schedule(
            "mail.mail_activity_data_warning",
            user_id=self.create_uid.id,
            summary=self.env._("Not made invalid at WeChat"),
            note=message,
        )
