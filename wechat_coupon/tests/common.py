"""What the tests share: a shop in China, its till, its coupons, a real sandbox."""

import re
import time
from datetime import timedelta
from unittest.mock import patch
from uuid import uuid4

from odoo import Command, fields
from odoo.exceptions import UserError
from odoo.tests import TransactionCase, new_test_user

from odoo.addons.wechat_base.tests.sandbox import Sandbox

from ..models import pos_config
from ..tools.cart import OrderRef

AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
LOGO_URL = "https://mmbiz.qpic.cn/mmbiz/logo/0"


class CouponCase(TransactionCase):
    """A company with a chart of accounts, a till, a cashier and a manager."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env(context={**cls.env.context, "tracking_disable": True})
        cls.company = cls.new_company("Test Shop CN")
        cls.env.user.company_ids |= cls.company
        cls.env = cls.env(
            context={**cls.env.context, "allowed_company_ids": cls.company.ids}
        )
        cls.config = cls.new_config("Shop 1")
        cls.tax13 = cls.new_tax(13)
        cls.tax9 = cls.new_tax(9)
        cls.tea = cls.new_product("Tea", 60, cls.tax13)
        cls.rice = cls.new_product("Rice", 40, cls.tax9)
        cls.book = cls.new_product("Book", 33.33)
        cls.customer = cls.env["res.partner"].create({"name": "Customer"})
        cls.cashier = cls.new_user("coupon_cashier", "point_of_sale.group_pos_user")
        cls.manager = cls.new_user("coupon_boss", "wechat_coupon.coupon_group_manager")
        cls.auditor = cls.new_user("coupon_audit", "wechat_coupon.coupon_group_auditor")
        cls.template = cls.new_template()

    # === MAKING === #

    @classmethod
    def new_company(cls, name):
        company = cls.env["res.company"].create(
            {
                "name": name,
                "country_id": cls.env.ref("base.cn").id,
                "currency_id": cls.env.ref("base.CNY").id,
            }
        )
        cls.env.ref("base.CNY").active = True
        cls.env["account.chart.template"].try_loading(
            "generic_coa", company=company, install_demo=False
        )
        company.currency_id = cls.env.ref("base.CNY")
        return company

    @classmethod
    def new_config(cls, name, company=None):
        company = company or cls.company
        env = cls.env(context={**cls.env.context, "allowed_company_ids": company.ids})
        journal = env["account.journal"].search(
            [("type", "=", "bank"), ("company_id", "=", company.id)], limit=1
        )
        method = env["pos.payment.method"].create(
            {"name": f"Bank {name}", "journal_id": journal.id, "company_id": company.id}
        )
        return env["pos.config"].create(
            {
                "name": name,
                "company_id": company.id,
                "payment_method_ids": [Command.set(method.ids)],
            }
        )

    @classmethod
    def new_tax(cls, percent):
        return cls.env["account.tax"].create(
            {
                "name": f"VAT {percent}% incl",
                "amount": percent,
                "price_include_override": "tax_included",
                "company_id": cls.company.id,
            }
        )

    @classmethod
    def new_product(cls, name, price, taxes=None):
        return cls.env["product.product"].create(
            {
                "name": name,
                "lst_price": price,
                "available_in_pos": True,
                "taxes_id": [Command.set(taxes.ids if taxes else [])],
            }
        )

    @classmethod
    def new_user(cls, login, *groups, company=None):
        company = company or cls.company
        return new_test_user(
            cls.env,
            login,
            groups=",".join(["base.group_user", *groups]),
            company_id=company.id,
            company_ids=[Command.set(company.ids)],
        )

    @classmethod
    def new_template(cls, publish=True, **vals):
        today = fields.Date.context_today(cls.env.user)
        template = cls.env["coupon.template"].create(
            {
                "name": "¥10 off from ¥100",
                "company_id": cls.company.id,
                "amount_fen": 1000,
                "threshold_fen": 10000,
                "date_from": today - timedelta(days=1),
                "date_to": today + timedelta(days=30),
                **vals,
            }
        )
        if publish:
            template.action_publish()
        return template

    def offer_vals(self):
        """Return what a template of the case's channel needs."""
        return {}

    def new_coupons(self, count=1, template=None):
        return (template or self.template)._generate(count)

    def setUp(self):
        super().setUp()
        # Names read better than numbers; `TestTill.test_order_uuid` has the real ones.
        self.startPatcher(patch.object(pos_config, "_UUID", re.compile(r"[\w-]{1,64}")))
        # The guard counts in transactions of its own, which no test takes back.
        with self.env.registry.cursor() as cr:
            cr.execute(
                "DELETE FROM wechat_rate_guard WHERE key LIKE 'co%' OR key LIKE 'ca%'"
            )

    # === THE TILL === #

    @property
    def till(self):
        """The till as its cashier calls it."""
        return self.config.with_user(self.cashier)

    def cart(self, *lines):
        """A cart as the till sends it: pairs of product and fen."""
        return {
            "lines": [
                {
                    "uuid": str(uuid4()),
                    "product_id": product.id,
                    "qty": 1,
                    "price_total_fen": fen,
                    "is_reward_line": False,
                }
                for product, fen in lines
            ],
            "total_fen": sum(fen for _product, fen in lines),
        }

    @property
    def full_cart(self):
        return self.cart((self.tea, 6000), (self.rice, 4000))

    def reserve(self, uuid, coupons, cart=None, till=None, **kwargs):
        return (till or self.till).wechat_coupon_reserve(
            uuid, self.shown(coupons), cart or self.full_cart, **kwargs
        )

    def shown(self, coupons):
        """What a till says about coupons that it has seen."""
        return [{"id": coupon.id, "code": coupon.code} for coupon in coupons]

    def order_ref(self, uuid):
        return OrderRef(
            uuid=uuid,
            company=self.company,
            config=self.config,
            session=self.env["pos.session"],
            partner=self.env["res.partner"],
        )

    def refusal_codes(self, answer):
        self.assertFalse(answer["ok"])
        for refusal in answer["refusals"]:
            self.assertTrue(refusal["message"])
        return [refusal["code"] for refusal in answer["refusals"]]

    def order_data(self, uuid, coupons=None, discount=-10.0, products=None, **vals):
        """An order as the till sends it: goods, and one line for each coupon."""
        if not self.config.current_session_id:
            self.config.open_ui()
            self.config.current_session_id.set_opening_control(0, None)
        session = self.config.current_session_id
        lines = [
            self.line_data(product, product.lst_price)
            for product in products or (self.tea, self.rice)
        ]
        for coupon in coupons or self.env["loyalty.card"]:
            reward = coupon.program_id.reward_ids
            lines.append(
                self.line_data(
                    reward.discount_line_product_id,
                    discount,
                    is_reward_line=True,
                    reward_id=reward.id,
                    coupon_id=coupon.id,
                    reward_identifier_code=str(coupon.id),
                    points_cost=1,
                    tax_ids=[Command.set([])],
                )
            )
        total = sum(line[2]["price_subtotal_incl"] for line in lines)
        net = sum(line[2]["price_subtotal"] for line in lines)
        return {
            "uuid": uuid,
            "access_token": str(uuid4()),
            "name": f"Order {uuid}",
            "session_id": session.id,
            "company_id": self.company.id,
            "state": "paid",
            "amount_total": total,
            "amount_tax": total - net,
            "amount_paid": total,
            "amount_return": 0,
            "date_order": fields.Datetime.to_string(fields.Datetime.now()),
            "last_order_preparation_change": "{}",
            "lines": lines,
            "partner_id": False,
            "to_invoice": False,
            "payment_ids": [
                Command.create(
                    {
                        "amount": total,
                        "name": fields.Datetime.to_string(fields.Datetime.now()),
                        "payment_method_id": self.config.payment_method_ids[:1].id,
                        "uuid": str(uuid4()),
                    }
                )
            ],
            **vals,
        }

    def line_data(self, product, price, **vals):
        taxes = product.taxes_id.filtered(lambda tax: tax.company_id == self.company)
        if vals.get("is_reward_line"):
            taxes = self.env["account.tax"]
        values = (
            taxes.compute_all(price)
            if taxes
            else {"total_excluded": price, "total_included": price}
        )
        return Command.create(
            {
                "uuid": str(uuid4()),
                "product_id": product.id,
                "qty": 1,
                "price_unit": price,
                "price_subtotal": values["total_excluded"],
                "price_subtotal_incl": values["total_included"],
                "tax_ids": [Command.set(taxes.ids if taxes else [])],
                **vals,
            }
        )

    def pay(self, uuid, coupons=None, **kwargs):
        """Sync a paid order as the cashier's till does; return the order."""
        data = self.order_data(uuid, coupons, **kwargs)
        self.env["pos.order"].with_user(self.cashier).sync_from_ui([data])
        return self.env["pos.order"].search([("uuid", "=", uuid)])

    def tasks(self, template):
        """What was ordered at the template's channel, the last one first."""
        return self.env["coupon.task"].search([("template_id", "in", template.ids)])

    def redemptions(self, coupons, *states):
        domain = [("coupon_id", "in", coupons.ids)]
        if states:
            domain.append(("state", "in", states))
        return self.env["coupon.redemption"].search(domain, order="id")

    def expire(self, coupons):
        """Let the time of reservations be over."""
        redemptions = self.redemptions(coupons, "reserved")
        redemptions.expires_at = fields.Datetime.now() - timedelta(minutes=1)
        redemptions.flush_recordset()


class SandboxCase(CouponCase):
    """The shop with an account at the sandbox and one coupon that exists there."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sandbox = Sandbox()
        cls.addClassCleanup(cls.sandbox.close)
        cls.appid = "wxcoupon00000001"
        # Tokens and the rate guard use transactions of their own, which have to see
        # what the test has not committed.
        if not cls._registry_patched:
            cls.registry_enter_test_mode_cls()
        cls.account = cls.env["wechat.account"].create(cls.account_vals())
        cls.env.flush_all()
        cls.sandbox.post("accounts", **cls.sandbox_account())
        cls.card_id = cls.new_card()["card_id"]
        cls.openid = cls.sandbox.post("users", nickname="小明")["openid"]
        cls.friend = cls.sandbox.post("users", nickname="小红")["openid"]

    @classmethod
    def account_vals(cls, **vals):
        return {
            "name": "Test account",
            "company_id": cls.company.id,
            "appid": cls.appid,
            "original_id": "gh_coupon0000",
            "secret": "0123456789abcdef0123456789abcdef",
            "token": "coupontoken",
            "encoding_aes_key": AES_KEY,
            "environment": "sandbox",
            "sandbox_url": cls.sandbox.url,
            **vals,
        }

    @classmethod
    def sandbox_account(cls, **vals):
        return {
            "appid": cls.appid,
            "secret": "0123456789abcdef0123456789abcdef",
            "token": "coupontoken",
            "encoding_aes_key": AES_KEY,
            "original_id": "gh_coupon0000",
            "callback_mode": "plain",
            "can_create_coupons": False,
            **vals,
        }

    @classmethod
    def new_card(cls, card_type="CASH", base=None, review="pass", **inner):
        """Make a card at WeChat as it was made before 2021."""
        now = int(time.time())
        body = {
            "base_info": {
                "logo_url": LOGO_URL,
                "brand_name": "测试商店",
                "code_type": "CODE_TYPE_QRCODE",
                "title": "满100减10",
                "color": "Color030",
                "notice": "请出示给收银员",
                "description": "每单限用一张",
                "date_info": {
                    "type": "DATE_TYPE_FIX_TIME_RANGE",
                    "begin_timestamp": now - 86400,
                    "end_timestamp": now + 30 * 86400,
                },
                "sku": {"quantity": 1000},
                "get_limit": 50,
                **(base or {}),
            },
            **(inner or {"least_cost": 10000, "reduce_cost": 1000}),
        }
        card = {"card_type": card_type, card_type.lower(): body}
        return cls.sandbox.post("cards", appid=cls.appid, card=card, review=review)

    def setUp(self):
        super().setUp()
        self.sandbox.call("DELETE", "faults")

    def receive(self, openid=None, card_id=None):
        """Somebody receives a coupon on the phone; return its code."""
        return self.sandbox.post(
            f"phone/{openid or self.openid}/receive", card_id=card_id or self.card_id
        )["code"]

    def fault(self, path, kind, times=1, **vals):
        self.sandbox.call(
            "POST", "faults", {"path": path, "kind": kind, "times": times, **vals}
        )

    def pull(self):
        return self.env["coupon.channel.card"]._pull(self.account)

    def scan(self, code, cart=None, uuid="scan"):
        """Look a code up at the till; return the coupon."""
        answer = self.till.wechat_coupon_lookup(
            code, uuid, False, cart or self.full_cart
        )
        self.assertTrue(answer["ok"], answer)
        return self.env["loyalty.card"].browse(answer["coupon"]["id"])

    def new_card_template(self, **vals):
        return self.new_template(
            publish=False,
            **{
                "channel": "card",
                "account_id": self.account.id,
                "title": "满100减10",
                "brand_name": "测试商店",
                "notice": "请出示给收银员",
                "description": "每单限用一张",
                "logo_url": LOGO_URL,
                **vals,
            },
        )

    def run_task(self, template):
        """Make the call that the drain would make, and record its outcome."""
        task = self.tasks(template)[:1]
        self.env.flush_all()
        self.assertTrue(task._operation_begin())
        task._operation_settle(self.outside(task, "_operation_call"))
        return task

    def outside(self, row, method):
        try:
            return getattr(row, method)()
        except UserError as error:
            return error

    def event(self, event, code=None, card_id=None, at=None, openid=None, **payload):
        """Put a callback into the inbox and process it; return its record."""
        at = at or int(time.time())
        payload = {
            "CardId": card_id or self.card_id,
            "CreateTime": str(at),
            "Event": event,
            **({"UserCardCode": code} if code else {}),
            **payload,
        }
        events = self.env["wechat.event"]
        events._receive(
            "oa",
            self.account.id,
            self.company.id,
            str(uuid4()),
            event,
            payload,
            openid or self.openid,
        )
        record = events.search([], order="id desc", limit=1)
        record._process()
        return record
