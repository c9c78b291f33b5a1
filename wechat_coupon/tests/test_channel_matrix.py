"""The fault matrix of every channel: ``make proof ONLY=channels`` at full size."""

from odoo.tests import tagged

from .channel_matrix import ChannelMatrix
from .common import CouponCase
from .test_channel_kit import (
    TestChannelBusifavor,
    TestChannelCard,
    TestChannelFavorKit,
    TestChannelLocal,
    TestChannelProductBrand,
    TestChannelProductProvider,
)

_BUSIFAVOR = "/v3/marketing/busifavor"
_FAVOR = "/v3/marketing/favor"
_KITS = (
    TestChannelBusifavor,
    TestChannelCard,
    TestChannelFavorKit,
    TestChannelProductBrand,
    TestChannelProductProvider,
)


@tagged("post_install", "-at_install", "wechat_channels")
class TestMatrixCard(ChannelMatrix, TestChannelCard):
    allow_inherited_tests_method = False
    signed = False
    calls = {
        "publish": ("POST", "/card/create"),
        "end": ("POST", "/card/delete"),
        "void": ("POST", "/card/code/unavailable"),
        "write_off": ("POST", "/card/code/consume"),
        "stock": ("POST", "/card/modifystock"),
        # WeChat looks at it again, and hands out nothing until then.
        "update": ("POST", "/card/update"),
        "deposit": ("POST", "/card/code/deposit"),
    }
    own_codes = {"own_codes": True, "stock": 0}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        account = cls.sandbox_account(can_create_coupons=True, can_custom_code=True)
        cls.sandbox.post("accounts", **account)

    def test_matrix(self):
        self.run_matrix()


@tagged("post_install", "-at_install", "wechat_channels")
class TestMatrixBusifavor(ChannelMatrix, TestChannelBusifavor):
    allow_inherited_tests_method = False
    calls = {
        "publish": ("POST", f"{_BUSIFAVOR}/stocks$"),
        "update": ("PATCH", f"{_BUSIFAVOR}/stocks/[^/]+$"),
        "stock": ("PATCH", "/budget$"),
        "void": ("POST", "/coupons/deactivate$"),
        "write_off": ("POST", "/coupons/use$"),
        "return": ("POST", "/coupons/return$"),
        "end": ("PATCH", "/budget$"),
        "deposit": ("POST", "/couponcodes$"),
        "send": ("POST", "/coupons/send$"),
    }
    wallet = "busifavor"

    def check_deposited(self, codes):
        """WeChat cannot be asked: customers get these, each once."""
        given = [self.hand_out(self.last, self.somebody()) for _code in codes]
        self.assertCountEqual(given, codes)

    def test_matrix(self):
        self.run_matrix()


@tagged("post_install", "-at_install", "wechat_channels")
class TestMatrixFavor(ChannelMatrix, TestChannelFavorKit):
    allow_inherited_tests_method = False
    calls = {
        "publish": ("POST", f"{_FAVOR}/coupon-stocks$"),
        "start": ("POST", "/start$"),
        "pause": ("POST", "/pause$"),
        "resume": ("POST", "/restart$"),
        "end": ("POST", "/stop$"),
        "send": ("POST", "/users/[^/]+/coupons$"),
    }
    wallet = "vouchers"

    def code_of(self, held):
        return held["coupon_id"]

    def order_pause(self):
        template = self.another_offer().with_user(self.manager)
        self.publish(template)
        template.action_pause()
        return self.task(template, "pause"), lambda: self.assertEqual(
            self.model._stock(template)["status"], "paused"
        )

    def order_resume(self):
        self.work(self.order_pause()[0])
        self.last.with_user(self.manager).action_resume()
        return self.task(self.last, "pause"), lambda: self.assertEqual(
            self.model._stock(self.last)["status"], "running"
        )

    def test_matrix(self):
        self.run_matrix()


class ProductMatrix(ChannelMatrix):
    calls = {
        "picture": ("POST", "/media/upload-image$"),
        "publish": ("POST", "/product-coupons$"),
        "confirm": ("POST", "/confirm$"),
        "update": ("PATCH", "/stocks/[^/]+$"),
        "stock": ("POST", "/update-budget$"),
        "end": ("POST", "/product-coupons/[^/]+/deactivate$"),
        "void": ("POST", "/coupons/[^/]+/deactivate$"),
        "write_off": ("POST", "/use$"),
        "return": ("POST", "/return$"),
        "send": ("POST", "/users/[^/]+/coupons$"),
    }
    wallet = "product/coupons"

    def order_picture(self):
        template = self.another_offer()
        template.with_user(self.manager).action_publish()
        return self.task(template, "picture"), lambda: self.assertTrue(
            self.task(template, "publish")
        )

    def order_publish(self):
        template = self.another_offer()
        before = self.remote_templates()
        template.with_user(self.manager).action_publish()
        self.work(self.task(template, "picture"))
        return self.task(template, "publish"), lambda: self.assertEqual(
            self.remote_templates(), before + 1
        )

    def order_confirm(self):
        openid = self.somebody()
        shown = self.claim(self.offer, openid)[0]
        self.sent(self.offer, shown, openid)
        code = shown["coupon_code"]
        return self.task(self.offer, "confirm"), lambda: self.assertEqual(
            (self.at_wechat(code)["coupon_state"], self.card(code).wechat_state),
            ("EFFECTIVE", "usable"),
        )


@tagged("post_install", "-at_install", "wechat_channels")
class TestMatrixProductBrand(ProductMatrix, TestChannelProductBrand):
    allow_inherited_tests_method = False

    def test_matrix(self):
        self.run_matrix()


@tagged("post_install", "-at_install", "wechat_channels")
class TestMatrixProductProvider(ProductMatrix, TestChannelProductProvider):
    allow_inherited_tests_method = False

    def test_matrix(self):
        self.run_matrix()


@tagged("post_install", "-at_install", "wechat_channels")
class TestChannels(CouponCase):
    def test_every_channel_has_a_kit(self):
        """A channel that somebody adds needs the kit's cases as well."""
        channels = dict(self.env["coupon.template"]._fields["channel"].selection)
        kits = {kit.channel for kit in (TestChannelLocal, *_KITS)}
        self.assertEqual(kits, set(channels))
