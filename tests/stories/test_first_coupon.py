"""The main story as a test."""

from wxenv import system

from .first_coupon import FirstCoupon


def test_first_coupon(world):
    told = list(FirstCoupon(world, system.browser()).steps())
    assert len(told) == 13
