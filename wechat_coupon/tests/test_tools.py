from odoo.tests import BaseCase, tagged

from .. import const
from ..tools import cart, codes


@tagged("post_install", "-at_install")
class TestCodes(BaseCase):
    def test_new_codes(self):
        made = {codes.new_code() for _i in range(2000)}
        self.assertEqual(len(made), 2000)
        for code in made:
            self.assertEqual(len(code), codes.CODE_LENGTH)
            self.assertTrue(code.isascii() and code.isalnum() and code[0].isalpha())
            # What Odoo's barcode service deletes, and the prefixes of its rules.
            self.assertNotRegex(code, "ALT|SHIFT|CONTROL|^04[1-4]")
            self.assertFalse(set(code) & set("0O1IL5S2Z8B"))

    def test_mask(self):
        self.assertEqual(codes.mask("123456789012"), "****9012")
        for code in ("1234", "", False, None):
            self.assertEqual(codes.mask(code), "****")


@tagged("post_install", "-at_install")
class TestCart(BaseCase):
    good = {
        "lines": [{"uuid": "u", "product_id": 3, "qty": 1.5, "price_total_fen": 100}],
        "total_fen": 100,
    }

    def test_good(self):
        parsed = cart.parse_cart(self.good)
        self.assertEqual(parsed.total_fen, 100)
        self.assertEqual(parsed.lines[0].qty, 1.5)
        self.assertFalse(parsed.lines[0].is_reward_line)

    def test_bad(self):
        line = self.good["lines"][0]
        for bad in (
            None,
            [],
            {},
            {"lines": {}},
            {"lines": [1]},
            {"lines": [{**line, "qty": "1"}]},
            {"lines": [{**line, "qty": float("nan")}]},
            {"lines": [{**line, "qty": True}]},
            {"lines": [{**line, "product_id": "3"}]},
            {"lines": [{**line, "price_total_fen": 1.5}]},
            {"lines": [{**line, "price_total_fen": 10**15}]},
            {"lines": [{**line, "uuid": "x" * 100}]},
            {"lines": [line] * 1001},
            {"lines": [], "total_fen": "1"},
        ):
            with self.subTest(bad=str(bad)[:60]), self.assertRaises(ValueError):
                cart.parse_cart(bad)


@tagged("post_install", "-at_install")
class TestConst(BaseCase):
    def test_every_state_has_a_reason(self):
        for state in const.USER_CARD_STATES.values():
            self.assertTrue(state == "usable" or state in const.STATE_REASONS)

    def test_tuples(self):
        self.assertIsInstance(const.UNKNOWN_CODE_ERRORS, tuple)
