"""Arithmetic of partial refunds: nobody gets more than was paid."""

import random
from dataclasses import replace
from itertools import permutations

from odoo.tests import BaseCase, tagged

from ..tools.giveback import Discount, Goods, discount_back, payable

_CARTS = 400


@tagged("post_install", "-at_install")
class TestGiveback(BaseCase):
    def cart(self, rng):
        """Goods and discounts of a random order."""
        goods = [
            Goods(key=index, fen=rng.randint(1, 9999) * qty, qty=qty, back=0)
            for index, qty in enumerate(
                rng.choice((1, 1, 2, 3, 7)) for _line in range(rng.randint(1, 4))
            )
        ]
        discounts = []
        left = sum(one.fen for one in goods)
        for key in range(rng.randint(1, 2)):
            keys = rng.sample(range(len(goods)), rng.randint(1, len(goods)))
            total = sum(goods[index].fen for index in keys)
            if rng.random() < 0.5:
                fen = total * rng.randint(1, 100) // 100
            else:
                fen = rng.randint(1, 5000)
            fen = min(fen, total // 2, left)
            left -= fen
            discounts.append(Discount(key=key, fen=fen, goods=tuple(keys)))
        return goods, discounts

    def refund(self, goods, discounts, parts):
        """Give parts back one after the other.

        :param list parts: pairs of a line and a quantity
        :return: what is paid out each time
        """
        goods, paid_out, amounts = list(goods), 0, []
        for key, qty in parts:
            goods[key] = replace(goods[key], back=goods[key].back + qty)
            due = payable(goods, discounts)
            amounts.append(due - paid_out)
            paid_out = due
        return amounts

    def test_parts_add_up_in_any_order(self):
        rng = random.Random(4)
        for _cart in range(_CARTS):
            goods, discounts = self.cart(rng)
            paid = sum(one.fen for one in goods) - sum(one.fen for one in discounts)
            parts = [(one.key, 1) for one in goods for _piece in range(one.qty)]
            rng.shuffle(parts)
            orders = permutations(parts) if len(parts) <= 4 else [parts, parts[::-1]]
            for order in orders:
                amounts = self.refund(goods, discounts, order)
                self.assertEqual(sum(amounts), paid, (goods, discounts, order))
                running = 0
                for amount in amounts:
                    running += amount
                    self.assertLessEqual(running, paid)

    def test_nothing_back_nothing_paid(self):
        goods = [Goods("a", 1000, 3, 0), Goods("b", 500, 1, 0)]
        discounts = [Discount("c", 700, ("a", "b"))]
        self.assertEqual(payable(goods, discounts), 0)

    def test_more_back_than_bought_counts_once(self):
        discount = Discount("c", 700, ("a",))
        self.assertEqual(discount_back(discount, [Goods("a", 1000, 3, 9)]), 700)

    def test_vectors_of_the_till(self):
        """The same numbers as in `giveback.test.js`."""
        goods = [Goods("a", 10000, 3, 1), Goods("b", 6000, 2, 2)]
        self.assertEqual(discount_back(Discount("c", 2000, ("a", "b")), goods), 1167)
        self.assertEqual(discount_back(Discount("c", 2000, ("b",)), goods), 2000)
        weighed = [Goods("a", 3333, 0.333, 0.1)]
        self.assertEqual(discount_back(Discount("c", 1000, ("a",)), weighed), 301)
        self.assertEqual(payable(weighed, [Discount("c", 1000, ("a",))]), 699)
