from odoo.tests import BaseCase, tagged

from .. import const
from ..tools import cart, codes, money


@tagged("post_install", "-at_install")
class TestMoney(BaseCase):
    def test_to_fen_has_no_float_dust(self):
        for amount, fen in (
            (0.1 + 0.2, 30),
            (1.005, 101),
            (19.99, 1999),
            (-0.005, -1),
            (1e-14, 0),
            (-1e-14, 0),
            (None, 0),
            (4.35, 435),
        ):
            with self.subTest(amount=amount):
                self.assertEqual(money.to_fen(amount), fen)

    def test_there_and_back(self):
        for fen in range(-1000, 1000, 7):
            self.assertEqual(money.to_fen(money.from_fen(fen)), fen)

    def test_format(self):
        self.assertEqual(money.format_fen(5), "0.05")
        self.assertEqual(money.format_fen(-12345), "-123.45")

    def test_split_adds_up(self):
        for total, weights in (
            (100, [1, 1, 1]),
            (-100, [1, 1, 1]),
            (1, [5, 5]),
            (1000, [6000, 4000, 3333]),
            (7, [0, 0, 3]),
            (0, [1, 2]),
            (10, [0, 0]),
        ):
            with self.subTest(total=total, weights=weights):
                parts = money.split_fen(total, weights)
                self.assertEqual(sum(parts), total)
                self.assertEqual(len(parts), len(weights))

    def test_split_largest_remainder_first(self):
        self.assertEqual(money.split_fen(100, [1, 1, 1]), [34, 33, 33])
        self.assertEqual(money.split_fen(10, [1, 2, 4]), [1, 3, 6])
        self.assertEqual(money.split_fen(5, []), [])


@tagged("post_install", "-at_install")
class TestCodes(BaseCase):
    def test_new_codes(self):
        made = {codes.new_code() for _i in range(2000)}
        self.assertEqual(len(made), 2000)
        for code in made:
            self.assertTrue(code.isascii() and code.isalnum())
            # Odoo's barcode rules begin with digits.
            self.assertTrue(code[0].isalpha())
            # The barcode service deletes these words.
            self.assertNotRegex(code, "ALT|SHIFT|CONTROL")
            self.assertFalse(set(code) & set("0O1IL5S2Z8B"))


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
