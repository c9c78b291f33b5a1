from odoo import api, fields, models


class CouponChannelPolicy(models.Model):
    """What a company allows with the coupons of one channel.

    Without a policy a channel's coupons are taken in every shop, by everybody who may
    use coupons.
    """

    _name = "coupon.channel.policy"
    _description = "Coupon Channel Policy"
    _order = "company_id, channel"
    _rec_name = "channel"
    _check_company_auto = True

    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    channel = fields.Selection(
        selection=lambda self: (
            self.env["coupon.template"]
            ._fields["channel"]
            ._description_selection(self.env)
        ),
        required=True,
    )
    accepted = fields.Boolean(
        default=True, help="Off: no till takes coupons of this channel."
    )
    config_ids = fields.Many2many(
        "pos.config",
        string="Shops",
        domain="[('company_id', 'child_of', company_id)]",
        help="Where these coupons are taken; empty for every shop.",
    )
    group_ids = fields.Many2many(
        "res.groups",
        string="Who May Use Them",
        help="Users of one of these groups may take coupons of this channel; empty "
        "for everybody who may use coupons.",
    )
    max_per_order = fields.Integer(
        string="On One Order",
        help="How many coupons of this channel an order may have; 0 for no limit.",
    )

    _channel_unique = models.Constraint(
        "UNIQUE(company_id, channel)", "A company has one policy for each channel."
    )
    _max_per_order_positive = models.Constraint(
        "CHECK(max_per_order >= 0)", "A number of coupons cannot be negative."
    )

    @api.model
    def _of(self, company, channel):
        """Return the policy of a company, or of the nearest one above it.

        :rtype: ``coupon.channel.policy`` record with sudo, maybe empty
        """
        # sudo: policies are not for cashiers to read.
        found = self.sudo().search(
            [
                ("company_id", "in", company.sudo().parent_ids.ids),
                ("channel", "=", channel),
            ]
        )
        return found.sorted(lambda one: -len(one.company_id.parent_ids))[:1]

    def _refusals(self, order, user):
        """Why a user may not take a coupon of the channel on an order.

        :param order: :class:`~.tools.cart.OrderRef`
        :param user: ``res.users`` record
        :return: reason codes with the values of their sentences
        """
        if not self:
            return
        if not self.accepted or (
            order.config and self.config_ids and order.config not in self.config_ids
        ):
            yield "channel_closed", {}
        elif self.group_ids and not (user.all_group_ids & self.group_ids):
            yield "not_allowed", {}
