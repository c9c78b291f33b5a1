from odoo import api, fields, models
from odoo.tools import SQL

from ..tools.cart import OrderRef
from .coupon_redemption import _ACTIVE

# Limit of the template -> the column with the slot, and what it is unique for.
_LIMITS: dict[str, tuple[str, tuple[str, ...]]] = {
    "use_limit": ("customer_slot", ("customer_key",)),
    "use_limit_day": ("customer_day_slot", ("customer_key", "slot_day")),
    "day_limit": ("day_slot", ("slot_day",)),
}
_COLUMNS = (
    "customer_key",
    "customer_slot",
    "customer_day_slot",
    "slot_day",
    "day_slot",
)


class CouponRedemption(models.Model):
    """Limits on how often coupons of a template are used.

    A limit of three is three slots. Who reserves takes a free one, and unique
    indexes let nobody have one that is taken, whichever till, sales order or worker
    asks at the same time. What is released or returned falls out of the indexes, so
    its slot is free.
    """

    _inherit = "coupon.redemption"

    customer_key = fields.Char(
        readonly=True, help="Who uses the coupon, as far as uses are counted."
    )
    customer_slot = fields.Integer(readonly=True)
    customer_day_slot = fields.Integer(readonly=True)
    slot_day = fields.Date(readonly=True)
    day_slot = fields.Integer(readonly=True)

    _one_per_customer_slot = models.UniqueIndex(
        "(template_id, customer_key, customer_slot) "
        "WHERE state IN ('reserved', 'redeemed') AND customer_key IS NOT NULL",
        "The customer has used as many of these coupons as are allowed.",
    )
    _one_per_customer_day_slot = models.UniqueIndex(
        "(template_id, customer_key, slot_day, customer_day_slot) "
        "WHERE state IN ('reserved', 'redeemed') AND customer_key IS NOT NULL "
        "AND slot_day IS NOT NULL",
        "The customer has used as many of these coupons today as are allowed.",
    )
    _one_per_day_slot = models.UniqueIndex(
        "(template_id, slot_day, day_slot) "
        "WHERE state IN ('reserved', 'redeemed') AND slot_day IS NOT NULL",
        "As many of these coupons as are allowed were used today.",
    )

    # === BUSINESS METHODS - SLOTS === #

    @api.model
    def _customer_key(self, order, coupon):
        """Return who uses a coupon, ``None`` if nobody knows.

        :param order: :class:`~.tools.cart.OrderRef`
        :param coupon: ``loyalty.card`` record with sudo
        """
        if coupon.wechat_openid:
            # Whoever is chosen at the till: it is the same phone.
            return f"o{coupon.wechat_openid}"
        partner = (
            coupon.partner_id or coupon.wechat_identity_id.partner_id or order.partner
        )
        return f"p{partner.id}" if partner else None

    @api.model
    def _take_slots(self, order, wanted, coupons=None, free=False, at=None):
        """Choose a slot under each limit for coupons that an order does not hold.

        :param order: :class:`~.tools.cart.OrderRef`
        :param wanted: ``loyalty.card`` records with sudo
        :param coupons: what the order will have in the end; what else it holds does
            not count any more
        :param bool free: whether to release what others hold past its time
        :param datetime at: when the coupons are used; now by default
        :return: ``{coupon: columns}``, empty if nothing is limited, and refusals as
            ``[(coupon, reason code, values)]``
        :rtype: tuple
        """
        templates = wanted.coupon_template_id
        if not any(template._is_limited() for template in templates):
            return {}, []
        self.flush_model()
        coupons = wanted if coupons is None else coupons
        given, slots, refusals = {}, {}, []
        for coupon in wanted:
            slots[coupon] = dict.fromkeys(_COLUMNS)
            for name, scope in self._scopes(order, coupon, at).items():
                slots[coupon].update(scope)
                refusal = self._take_slot(
                    order, coupon, name, scope, slots[coupon], given, coupons, free
                )
                if refusal and (not refusals or refusals[-1][0] != coupon):
                    refusals.append((coupon, *refusal))
        return slots, refusals

    @api.model
    def _scopes(self, order, coupon, at=None):
        """Return for each limit of a coupon what it counts, as values of columns."""
        template = coupon.coupon_template_id
        known = {
            "customer_key": self._customer_key(order, coupon),
            "slot_day": template._to_local(at or fields.Datetime.now()).date(),
        }
        return {
            name: {column: known[column] for column in columns}
            for name, (_slot, columns) in _LIMITS.items()
            if template[name]
        }

    def _take_slot(self, order, coupon, name, scope, columns, given, coupons, free):
        """Put a free slot into ``columns``.

        :return: reason code with the values of its sentence, or ``None``
        """
        if None in scope.values():
            return "needs_customer", {}
        template = coupon.coupon_template_id
        limit = template[name]
        taken = given.setdefault((template.id, name, *scope.values()), [])
        count, slot = self._free_slot(order, template, name, scope, taken, coupons)
        if free and slot is None and count + len(taken) < limit:
            # What others have not paid in time is still in the index.
            where = [SQL("%s = %s", SQL.identifier(k), v) for k, v in scope.items()]
            self._release_where(
                SQL(
                    "template_id = %s AND expires_at < %s AND %s",
                    template.id,
                    fields.Datetime.now(),
                    SQL(" AND ").join(where),
                ),
                "expired",
            )
            count, slot = self._free_slot(order, template, name, scope, taken, coupons)
        if count + len(taken) >= limit or (free and slot is None):
            return name, {"limit": limit}
        if slot is not None:
            taken.append(slot)
            columns[_LIMITS[name][0]] = slot
        return None

    def _free_slot(self, order, template, name, scope, taken, coupons):
        """Return how many uses count, and a slot that nobody has, or ``None``.

        Of the slots of a customer it is the lowest one: who is at two tills waits
        for himself. Those of a day are for everybody, so it is any, or all the tills
        of a busy hour would want the same one.
        """
        column = SQL.identifier(_LIMITS[name][0])
        where = [SQL("%s = %s", SQL.identifier(k), v) for k, v in scope.items()]
        self.env.cr.execute(
            SQL(
                """
                WITH used AS (
                    SELECT %(column)s AS slot,
                           NOT (state = 'reserved' AND (
                                expires_at < %(now)s
                                OR (%(own)s AND coupon_id != ALL(%(coupons)s))
                           )) AS counts
                      FROM coupon_redemption
                     WHERE template_id = %(template)s
                       AND state IN ('reserved', 'redeemed') AND %(where)s
                )
                SELECT (SELECT count(*) FROM used WHERE counts),
                       (SELECT free.slot FROM generate_series(1, %(limit)s) free (slot)
                         WHERE free.slot != ALL(%(taken)s)
                           AND NOT EXISTS (
                               SELECT 1 FROM used WHERE used.slot = free.slot)
                         ORDER BY %(order)s LIMIT 1)
                """,
                column=column,
                now=fields.Datetime.now(),
                own=self._own_where(order),
                coupons=coupons.ids,
                template=template.id,
                where=SQL(" AND ").join(where),
                limit=template[name],
                taken=taken,
                order=SQL("random()") if name == "day_limit" else SQL("free.slot"),
            )
        )
        return self.env.cr.fetchone()

    @api.model
    def _before_merge(self, sources, target):
        """Let what several contacts have used count for the one that they become.

        Slots are moved behind those that are taken: the uses are counted, and the
        slots that are free stay free.

        :param sources: ``res.partner`` records that become ``target``
        :param target: ``res.partner`` record
        """
        self.flush_model()
        self.env.cr.execute(
            """
            WITH moved AS (
                SELECT id,
                       row_number() OVER (PARTITION BY template_id ORDER BY id) AS n,
                       row_number() OVER (
                           PARTITION BY template_id, slot_day ORDER BY id) AS n_day
                  FROM coupon_redemption
                 WHERE customer_key = ANY(%(sources)s)
            )
            UPDATE coupon_redemption r
               SET customer_key = %(target)s,
                   customer_slot = moved.n + CASE
                       WHEN r.customer_slot IS NOT NULL THEN coalesce((
                           SELECT max(t.customer_slot) FROM coupon_redemption t
                            WHERE t.template_id = r.template_id
                              AND t.customer_key = %(target)s), 0) END,
                   customer_day_slot = moved.n_day + CASE
                       WHEN r.customer_day_slot IS NOT NULL THEN coalesce((
                           SELECT max(t.customer_day_slot) FROM coupon_redemption t
                            WHERE t.template_id = r.template_id
                              AND t.customer_key = %(target)s
                              AND t.slot_day = r.slot_day), 0) END
              FROM moved
             WHERE r.id = moved.id
            """,
            {
                "sources": [f"p{partner.id}" for partner in sources],
                "target": f"p{target.id}",
            },
        )
        self.invalidate_model(_COLUMNS)

    # === BUSINESS METHODS - RESERVE === #

    def _refusals(self, order, coupons, cart, holders):
        """Override of ``coupon.redemption``: limits, as far as they can be seen."""
        refusals = super()._refusals(order, coupons, cart, holders)
        refused = {coupon for coupon, *_rest in refusals}
        wanted = coupons.filtered(
            lambda coupon: (
                coupon not in refused and not self._holds(holders.get(coupon.id), order)
            )
        )
        return refusals + self._take_slots(order, wanted, coupons)[1]

    def _reasons_beside(self, order, coupon, others, holder):
        """Why a coupon cannot be used beside others, or no more at all.

        :param coupon: ``loyalty.card`` record with sudo
        :param others: the coupons that the order has besides
        :param dict holder: row of :meth:`_holders`, or ``None``
        :return: reason codes with the values of their sentences
        :rtype: list[tuple[str, dict]]
        """
        if self._holds(holder, order):
            return []
        _slots, refusals = self._take_slots(order, coupon, others | coupon)
        return [(code, values) for _coupon, code, values in refusals]

    def _taken_now(self, order, coupons):
        """Override of ``coupon.redemption``: or somebody has had the last slot."""
        refusals = super()._taken_now(order, coupons)
        limited = coupons.filtered(
            lambda coupon: coupon.coupon_template_id._is_limited()
        )
        if refusals or not limited:
            return refusals
        with self.env.registry.cursor() as cr:
            fresh = self.with_env(self.env(cr=cr))
            holders = fresh._holders(coupons.ids, order.uuid)
            wanted = limited.with_env(fresh.env).filtered(
                lambda coupon: not fresh._holds(holders.get(coupon.id), order)
            )
            found = fresh._take_slots(order, wanted, coupons)[1]
            return [(limited.browse(one.id), *refusal) for one, *refusal in found]

    @api.model
    def _held_for_another(self, order, coupons, rows):
        """Return the coupons that the order holds for another customer.

        :param list rows: what the order has, see :meth:`_holders`
        """
        keys = {
            row["coupon_id"]: row["customer_key"]
            for row in rows
            if row["state"] == "reserved"
        }
        return coupons.filtered(
            lambda coupon: (
                coupon.id in keys
                and (
                    coupon.coupon_template_id.use_limit
                    or coupon.coupon_template_id.use_limit_day
                )
                and keys[coupon.id] != self._customer_key(order, coupon)
            )
        )

    # === BUSINESS METHODS - PAID ORDERS === #

    def _late_slots(self):
        """Return the slots of a conflict that is redeemed after all.

        :return: values to write; without those that no slot is left for
        :rtype: dict
        """
        self.ensure_one()
        order = OrderRef(
            uuid=self.order_uuid,
            company=self.company_id,
            config=self.config_id,
            session=self.session_id,
            partner=self.partner_id,
        )
        slots, _over = self._take_slots(
            order, self.coupon_id, free=True, at=self.redeemed_at
        )
        columns = slots.get(self.coupon_id, {})
        return {name: value for name, value in columns.items() if value is not None}

    def _terms_refusals(self, values):
        """Override of ``coupon.redemption``: what is redeemed without a slot."""
        yield from super()._terms_refusals(values)
        for name, (column, scope) in _LIMITS.items():
            limit = self.template_id[name]
            if limit and self.state in _ACTIVE and not self[column]:
                if "customer_key" in scope and not self.customer_key:
                    yield "needs_customer", {}
                else:
                    yield "over_limit", {"limit": limit}
