from odoo import fields, models


class CouponTemplate(models.Model):
    _inherit = "coupon.template"

    notify_customer = fields.Boolean(
        string="Tell the Customer",
        help="When the coupon was used: by WeChat message if the customer follows an "
        "account that has one, otherwise by e-mail.",
    )
    notify_user_ids = fields.Many2many(
        "res.users",
        "coupon_template_notify_user_rel",
        string="Tell Colleagues",
        domain="[('share', '=', False), ('company_ids', 'in', company_id)]",
        help="They find each use in their inbox.",
    )
    ask_feedback = fields.Boolean(
        string="Ask for Feedback",
        help="The receipt and the message to the customer lead to a short page that "
        "asks how it was.",
    )
