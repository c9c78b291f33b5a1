"""Chinese days: festivals and birthdays, also those of the lunar calendar (农历)."""

from calendar import isleap
from datetime import date, timedelta

from borax.calendars.lunardate import LCalendars, LunarDate

# Month and day in the lunar calendar; New Year's Eve is the day before the first.
LUNAR_FESTIVALS: dict[str, tuple[int, int]] = {
    "spring": (1, 1),
    "lantern": (1, 15),
    "dragon_boat": (5, 5),
    "qixi": (7, 7),
    "mid_autumn": (8, 15),
    "double_ninth": (9, 9),
}
SOLAR_FESTIVALS: dict[str, tuple[int, int]] = {
    "new_year": (1, 1),
    "valentine": (2, 14),
    "women": (3, 8),
    "labour": (5, 1),
    "children": (6, 1),
    "teachers": (9, 10),
    "national": (10, 1),
    "singles": (11, 11),
    "christmas": (12, 25),
}
EVE = "eve"
# Whole solar years that the tables of the library cover.
FIRST_YEAR, LAST_YEAR = 1901, 2099


def to_lunar(day):
    """Return a solar date in the lunar calendar.

    :param date day: from 1901 to 2099
    :return: year, month, day, and whether the month is a leap month
    :rtype: tuple[int, int, int, bool]
    """
    lunar = LunarDate.from_solar_date(day.year, day.month, day.day)
    return lunar.year, lunar.month, lunar.day, bool(lunar.leap)


def from_lunar(year, month, day):
    """Return the solar date of a day of the lunar calendar.

    :param int month: 1 to 12; not a leap month
    :param int day: 1 to 30; in a month of 29 days the 30th is its last day
    :rtype: date
    """
    days = LCalendars.ndays(year, month)
    return LunarDate(year, month, min(day, days)).to_solar_date()


def festival(name, year):
    """Return the day of a festival.

    :param str name: a key of the festivals above, or :data:`EVE`
    :param int year: the solar year in which the day is
    :rtype: date
    """
    if name == EVE:
        return from_lunar(year, 1, 1) - timedelta(days=1)
    if name in SOLAR_FESTIVALS:
        return date(year, *SOLAR_FESTIVALS[name])
    # All of them lie between January and November, so the lunar year has the number
    # of the solar one.
    return from_lunar(year, *LUNAR_FESTIVALS[name])


def birthday_key(born, lunar):
    """Return what all people with the same birthday have in common.

    :param date born: solar date of birth
    :param bool lunar: whether the birthday follows the lunar calendar
    :return: the calendar, the month and the day, e.g. ``S0229`` or ``L0815``
    """
    if not lunar:
        return f"S{born:%m%d}"
    _year, month, day, _leap = to_lunar(born)
    return f"L{month:02}{day:02}"


def birthday_keys(day):
    """Return whose birthday a day is.

    Who was born on 29 February celebrates on 28 February in other years. A lunar
    birthday in a leap month is celebrated in the month of the same number, one on
    the 30th on the last day of a month that has 29.

    :param date day: solar date
    :return: the year that the birthday counts for, by :func:`birthday_key`
    :rtype: dict[str, int]
    """
    keys = {f"S{day:%m%d}": day.year}
    if (day.month, day.day) == (2, 28) and not isleap(day.year):
        keys["S0229"] = day.year
    year, month, number, leap = to_lunar(day)
    if not leap:
        keys[f"L{month:02}{number:02}"] = year
        if number == LCalendars.ndays(year, month) == 29:
            keys[f"L{month:02}30"] = year
    return keys
