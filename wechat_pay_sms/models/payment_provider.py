from odoo import fields, models


class PaymentProvider(models.Model):
    _inherit = "payment.provider"

    # Off by default: each one costs.
    wechat_sms_done = fields.Boolean(
        string="Receipt by SMS",
        help="Sent once for each payment, to the customer's phone number.",
    )
    wechat_sms_failed = fields.Boolean(
        string="SMS when a payment was not made",
        help="Sent once for each payment that failed or was not made in time; not "
        "when the customer has cancelled it.",
    )
