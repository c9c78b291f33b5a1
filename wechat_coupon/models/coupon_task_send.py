"""Orders to WeChat to put a coupon into a customer's wallet (发放)."""

from odoo import fields, models

from ..tools import codes


class CouponTask(models.Model):
    _inherit = "coupon.task"

    kind = fields.Selection(
        selection_add=[("send", "Give to a customer")], ondelete={"send": "cascade"}
    )
    issue_id = fields.Many2one(
        "coupon.issue", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    openid = fields.Char(
        readonly=True, groups="wechat_coupon.coupon_group_manager", string="OpenID"
    )

    def _call_send(self, channel):
        template, issue = self.template_id, self.issue_id
        own = {"code": issue.code} if template.code_mode == "send" else {}
        return {
            "result": {
                "code": channel._send(template, self.openid, self.request_no, **own)
            }
        }

    def _query_send(self, channel):
        # The same number is the same coupon: ask for it again.
        return False

    def _operation_record_done(self, vals):
        """Extended: the code is the customer's, not the template's."""
        if self.kind != "send":
            return super()._operation_record_done(vals)
        vals = dict(vals)
        code = (vals.pop("result", None) or {}).get("code")
        done = super()._operation_record_done(vals)
        if code:
            channel = self.template_id._channel()
            coupon = channel._sent(self.template_id, code, self.openid)
            self.issue_id.write({"code": code, "coupon_id": coupon.id})
        return done

    def _operation_refused(self, error):
        """Extended: this customer gets none, and the hand-out says why."""
        if self.kind != "send":
            return super()._operation_refused(error)
        return self.issue_id.write({"problem": str(error)})


class CouponChannel(models.AbstractModel):
    _inherit = "coupon.channel"

    def _sent(self, template, code, openid):
        """Return a coupon that was just put into a wallet, maybe not known yet.

        :param str code: what the channel calls it
        :rtype: ``loyalty.card`` record
        """
        return self.env["loyalty.card"]._wechat_find(code)


class CouponChannelPay(models.AbstractModel):
    _inherit = "coupon.channel.pay"

    def _check_hand_out(self, template):
        """Override of ``coupon.channel``: WeChat puts them into people's wallets."""

    def _hand_out(self, issues):
        """Override of ``coupon.channel``: order one for each whom WeChat knows."""
        template = issues.template_id
        openids = self._openids(template, issues.partner_id)
        known = issues.filtered(lambda issue: issue.partner_id in openids)
        now = fields.Datetime.now()
        issues.write({"issued_at": now})
        (issues - known).write(
            {
                "problem": self.env._(
                    "WeChat does not know who this is: the customer has not followed "
                    "or used the account yet."
                )
            }
        )
        if template.code_mode == "send":
            for issue in known:
                issue.code = codes.new_code()
        # sudo: see `_start`.
        tasks_sudo = (
            self.env["coupon.task"]
            .sudo()
            .create(
                [
                    {
                        "kind": "send",
                        "template_id": template.id,
                        "issue_id": issue.id,
                        "openid": openids[issue.partner_id],
                    }
                    for issue in known
                ]
            )
        )
        tasks_sudo._operation_prepare()
        tasks_sudo._operation_enqueue(now=False)

    def _openids(self, template, partners):
        """Return what WeChat calls customers at the template's account.

        :return: openids by ``res.partner`` record
        :rtype: dict
        """
        # sudo: openids are not for users; only WeChat is told them.
        identities_sudo = (
            self.env["wechat.identity"]
            .sudo()
            .search(
                [
                    ("account_id", "=", template.account_id.id),
                    ("partner_id", "in", partners.ids),
                ],
                order="last_seen",
            )
        )
        return {one.partner_id: one.openid for one in identities_sudo}


class CouponChannelBusifavor(models.AbstractModel):
    _inherit = "coupon.channel.busifavor"

    def _sent(self, template, code, openid):
        """Override of ``coupon.channel``: the callback may be lost."""
        cards = self.env["loyalty.card"]
        known = cards._wechat_find(code)
        if known:
            return known
        identity = self.env["wechat.identity"].sudo()
        identity = identity._find_or_create(template.account_id, openid)
        begin, end = template._validity()
        row = {
            "code": code,
            "partner_id": identity.partner_id.id,
            "wechat_identity_id": identity.id,
            "wechat_openid": openid,
            "wechat_valid_from": begin,
            "wechat_valid_to": end,
        }
        # sudo: the ledger's own way to make coupons.
        made = cards.sudo()._wechat_insert(template, [row])
        return made or cards._wechat_find(code)


class CouponChannelFavor(models.AbstractModel):
    _inherit = "coupon.channel.favor"

    def _sent(self, template, code, openid):
        """Override of ``coupon.channel``: nobody will tell us of it again."""
        return self._coupon(template, code, openid)


class LoyaltyCard(models.Model):
    _inherit = "loyalty.card"

    def _wechat_insert(self, template, rows, state="usable", batch=None):
        """Extended: a coupon that WeChat gave by our order is that order's."""
        cards = super()._wechat_insert(template, rows, state, batch)
        if cards and template._channel()._is_remote:
            self.env["coupon.issue"]._found(cards)
        return cards


class CouponIssue(models.Model):
    _inherit = "coupon.issue"

    def _found(self, coupons):
        """Note coupons that WeChat has told us of after it gave them.

        :param coupons: ``loyalty.card`` records
        """
        # sudo: only our own methods write the rows.
        issues_sudo = self.sudo().search(
            [("coupon_id", "=", False), ("code", "in", coupons.mapped("code"))]
        )
        by_code = {coupon.code: coupon for coupon in coupons}
        for issue in issues_sudo:
            coupon = by_code[issue.code]
            if issue.template_id == coupon.coupon_template_id:
                issue.coupon_id = coupon
