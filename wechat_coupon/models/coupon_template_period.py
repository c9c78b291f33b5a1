from datetime import datetime, time, timedelta

from odoo import api, fields, models

_DAYS_AHEAD = 8


class CouponTemplatePeriod(models.Model):
    """Hours of a weekday in which the coupons of a template can be used."""

    _name = "coupon.template.period"
    _description = "Hours of a Coupon Template"
    _order = "template_id, weekday, hour_from, id"

    template_id = fields.Many2one(
        "coupon.template", required=True, index=True, ondelete="cascade"
    )
    weekday = fields.Selection(
        selection=[
            ("all", "Every day"),
            ("0", "Monday"),
            ("1", "Tuesday"),
            ("2", "Wednesday"),
            ("3", "Thursday"),
            ("4", "Friday"),
            ("5", "Saturday"),
            ("6", "Sunday"),
        ],
        string="Day",
        required=True,
        default="all",
    )
    hour_from = fields.Float(string="From", required=True, default=0)
    hour_to = fields.Float(
        string="To",
        required=True,
        default=24,
        help="An hour that is earlier than the first one is on the next day.",
    )

    _hours_of_a_day = models.Constraint(
        "CHECK (hour_from >= 0 AND hour_from < 24 AND hour_to >= 0 AND hour_to <= 24 "
        "AND hour_from <> hour_to)",
        "Hours go from 0:00 to 24:00, and the last one differs from the first one.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        periods = super().create(vals_list)
        periods._check_open()
        return periods

    def write(self, vals):
        self._check_open()
        res = super().write(vals)
        if "template_id" in vals:
            self._check_open()
        return res

    @api.ondelete(at_uninstall=False)
    def _unlink_except_published(self):
        self._check_open()

    def _check_open(self):
        """Refuse changes of what customers may know.

        :raises UserError: if a template is published
        """
        self.template_id.check_access("write")
        self.template_id._check_terms_open({"period_ids"})

    def _spans(self, day):
        """Return the periods around a day, as local times without zone.

        :param date day: those that began the day before are among them
        :rtype: list[tuple[datetime, datetime]]
        """
        days = [day + timedelta(days=shift) for shift in range(-1, _DAYS_AHEAD)]
        return [
            period._span(one)
            for period in self
            for one in days
            if period.weekday in ("all", str(one.weekday()))
        ]

    def _span(self, day):
        self.ensure_one()
        midnight = datetime.combine(day, time.min)
        begin = midnight + _hours(self.hour_from)
        end = midnight + _hours(self.hour_to)
        return begin, end if end > begin else end + timedelta(days=1)


def _hours(value):
    """Return hours of a form as a time to the minute: 9.333… is 9:20."""
    return timedelta(minutes=round(value * 60))
