from odoo.tests import BaseCase, tagged

from ..tools import money


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
