"""Every call that changes something at a channel × everything that can go wrong."""

import logging
import os

from odoo import Command

_logger = logging.getLogger(__name__)

FULL = os.environ.get("PROOF") == "full"
FAULTS = {
    "cut before it is sent": {"kind": "timeout_before", "seconds": 0.1},
    "cut after it was done": {"kind": "timeout_after", "seconds": 0.1},
    "5xx": {"kind": "http_status", "status": 503},
    "5xx after it was done": {"kind": "http_status", "status": 500, "commit": True},
    "429": {"kind": "http_status", "status": 429},
    # What Official Accounts answer is not signed.
    "bad signature": {"kind": "bad_signature"},
    "10 s" if FULL else "1 s": {"kind": "delay", "seconds": 10 if FULL else 1},
}


class ChannelMatrix:
    """A mixin of a channel's kit; only the matrix runs, not the kit's cases again."""

    #: name of the order -> (HTTP method, path) of its call
    calls = {}
    signed = True

    def run_matrix(self):
        """Give each order under each fault; both sides agree in the end.

        One number, one effect at the channel, and nothing left to do.
        """
        done = 0
        for name, (method, path) in self.calls.items():
            for fault_name, fault in FAULTS.items():
                if fault["kind"] == "bad_signature" and not self.signed:
                    continue
                with self.subTest(call=name, fault=fault_name):
                    row, check = getattr(self, f"order_{name}")()
                    number = row.request_no
                    self.assertTrue(
                        number, self.tasks(self.last).mapped("remote_error")
                    )
                    times = self.sends
                    self.fault(path, method=method, **{**fault, "times": times})
                    self.work(row)
                    unmet = [
                        one
                        for one in self.sandbox.call("GET", "faults")
                        if not one["used"]
                    ]
                    self.assertFalse(unmet, "the call goes another way")
                    self.sandbox.call("DELETE", "faults")
                    self.assertEqual(row.remote_state, "done", row.remote_error)
                    self.assertEqual(row.request_no, number)
                    check()
                    done += 1
        wanted = len(self.calls) * (len(FAULTS) - (not self.signed))
        self.assertEqual(done, wanted)
        _logger.info(
            "FIGURE %s: %s calls × %s faults = %s; both sides agree, one number each",
            self.channel,
            len(self.calls),
            len(FAULTS) - (not self.signed),
            done,
        )

    def work(self, row):
        for _attempt in range(8):
            if row.remote_state in ("done", "refused"):
                break
            self.attempt(row)
        self.env.invalidate_all()

    def task(self, template, kind):
        return self.tasks(template).filtered(
            lambda task: (
                task.kind == kind and task.remote_state in ("pending", "unknown")
            )
        )[:1]

    def another_offer(self):
        """A template that cannot be taken for another one at the channel."""
        self.serial = getattr(self, "serial", 0) + 1
        self.last = self.make_offer(title=f"满100减10 {self.serial}")
        return self.last

    def somebody(self):
        return self.sandbox.post("users", nickname="matrix")["openid"]

    # === ORDERS === #

    def order_publish(self):
        template = self.another_offer()
        before = self.remote_templates()
        template.with_user(self.manager).action_publish()
        return self.task(template, "publish"), lambda: self.assertEqual(
            self.remote_templates(), before + 1
        )

    def order_start(self):
        template = self.another_offer()
        template.with_user(self.manager).action_publish()
        self.work(self.task(template, "publish"))
        return self.task(template, "start"), lambda: self.assertTrue(
            self.model._is_started(template)
        )

    def order_update(self):
        self.serial = getattr(self, "serial", 0) + 1
        self.offer.with_user(self.manager).description = f"条件 {self.serial}"
        return self.task(self.offer, "update"), lambda: self.assertTrue(
            self.model._is_updated(self.offer)
        )

    def order_stock(self):
        self.offer.with_user(self.manager).stock += 10
        return self.task(self.offer, "stock"), lambda: self.assertTrue(
            self.model._is_stock_changed(self.offer)
        )

    def order_end(self):
        template = self.another_offer()
        self.publish(template)
        template.with_user(self.manager).action_end()
        return self.task(template, "end"), lambda: self.assertTrue(
            self.model._is_ended(template)
        )

    def order_void(self):
        coupon = self.coupon_of(self.hand_out(self.offer, self.somebody()))
        coupon.with_user(self.manager)._wechat_void("lost")
        return self.task(self.offer, "void"), lambda: self.assertTrue(
            self.model._is_void(coupon)
        )

    #: values of a template to which codes of our own are brought
    own_codes = {"code_mode": "upload"}
    #: where the sandbox shows a person's coupons
    wallet = ""

    def order_deposit(self):
        self.another_offer().write(self.own_codes)
        self.publish(self.last)
        self.last._generate(3)
        task = self.task(self.last, "deposit")
        return task, lambda: self.check_deposited(task.coupon_ids.mapped("code"))

    def check_deposited(self, codes):
        self.assertTrue(self.model._are_deposited(self.last, codes))

    def order_send(self):
        openid = self.somebody()
        partner = self.env["res.partner"].create({"name": "Matrix"})
        identities = self.env["wechat.identity"]
        identities._find_or_create(self.account, openid).partner_id = partner
        handout = self.env["coupon.handout"].create(
            {
                "template_id": self.offer.id,
                "partner_ids": [Command.set(partner.ids)],
            }
        )
        handout.with_user(self.manager).action_start()
        self.before_sending()
        handout._hand_out_chunk()

        def check():
            held = self.sandbox.call("GET", f"phone/{openid}/{self.wallet}")
            self.assertEqual(len(held), 1)
            self.assertEqual(handout.issue_ids.code, self.code_of(held[0]))

        return self.task(self.offer, "send"), check

    def code_of(self, held):
        return held["coupon_code"]

    def order_write_off(self):
        coupon = self.coupon_of(self.hand_out(self.offer, self.somebody()))
        redemption = self.sell(coupon)
        return redemption, lambda: self.assertEqual(self.remote_uses(coupon.code), 1)

    def order_return(self):
        coupon = self.coupon_of(self.hand_out(self.offer, self.somebody()))
        redemption = self.sell(coupon)
        self.write_off(redemption)
        self.assertEqual(self.remote_uses(coupon.code), 1)
        redemption._return("manager")
        return self.task(self.offer, "return"), lambda: self.assertEqual(
            (self.remote_uses(coupon.code), redemption.state), (0, "returned")
        )
