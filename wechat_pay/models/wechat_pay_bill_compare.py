import uuid
from datetime import timedelta

from odoo import fields, models
from odoo.tools import SQL

from ..tools import bill as bill_file
from .wechat_pay_bill import LOOK_BACK

#: around midnight a trade may stand in the neighbouring bill
MIDNIGHT = timedelta(minutes=15)
#: refunds that are on their way
_ON_THE_WAY = ("sending", "waiting", "unknown", "done")
#: a person has settled it, and it is still what they have seen
_DECIDED = SQL(
    """
    (known.settled_by_id IS NOT NULL
     AND known.aspect IS NOT DISTINCT FROM EXCLUDED.aspect
     AND known.ours_fen = EXCLUDED.ours_fen
     AND known.theirs_fen = EXCLUDED.theirs_fen)
    """
)


class WechatPayBill(models.Model):
    """How bills are compared with our transactions: one statement for each kind."""

    _inherit = "wechat.pay.bill"

    def _renew(self):
        """Compare again, as far as these bills were read."""
        for bill in self.filtered(lambda b: b.state in ("done", "none")):
            bill._compare_around()

    def _compare_around(self):
        """Compare what this bill can have changed: its day and those beside it."""
        self.ensure_one()
        days = [self.date + timedelta(days=step) for step in (-1, 0, 1)]
        bills = self.search(
            [
                ("merchant_id", "=", self.merchant_id.id),
                ("bill_type", "=", "trade"),
                ("date", "in", days),
                ("state", "in", ("done", "none")),
            ]
        )
        for bill in bills.sorted("date"):
            bill._compare()

    def _compare(self):
        """Write the differences of this bill's day; those that are gone settle."""
        self.ensure_one()
        self.env.flush_all()
        run = uuid.uuid4().hex
        self._match_lines()
        for rows in self._differences():
            self._keep_differences(rows, run)
        self._settle_gone(run)
        self.env.invalidate_all()

    # === MATCHING === #

    def _match_lines(self):
        """Find the transaction of every line, and tell it what only the bill knows."""
        cr = self.env.cr
        cr.execute(
            SQL(
                """
                UPDATE wechat_pay_bill_line AS line
                   SET transaction_id = found.transaction_id
                  FROM (SELECT l.id, t.id AS transaction_id
                          FROM wechat_pay_bill_line AS l
                          LEFT JOIN wechat_pay_transaction AS t
                            ON t.merchant_id = l.merchant_id
                           AND t.kind = l.kind
                           AND t.number = l.number
                         WHERE l.bill_id = %(bill)s) AS found
                 WHERE line.id = found.id
                   AND line.transaction_id IS DISTINCT FROM found.transaction_id
                """,
                bill=self.id,
            )
        )
        cr.execute(
            SQL(
                """
                UPDATE wechat_pay_transaction AS t
                   SET fee_fen = l.fee_fen, write_date = %(now)s
                  FROM wechat_pay_bill_line AS l
                 WHERE l.bill_id = %(bill)s
                   AND t.id = l.transaction_id
                   AND t.fee_fen IS DISTINCT FROM l.fee_fen
                """,
                bill=self.id,
                now=fields.Datetime.now(),
            )
        )

        # A refund's notice does not say what the merchant gives back, so where
        # coupons took part it was shared out by us. An answer, which has said it, has
        # told the coupons, too (contracts 5.8).
        cr.execute(
            SQL(
                """
                UPDATE wechat_pay_transaction AS t
                   SET settlement_fen = l.settlement_fen, write_date = %(now)s
                  FROM wechat_pay_bill_line AS l, wechat_pay_transaction AS payment
                 WHERE l.bill_id = %(bill)s
                   AND l.kind = 'refund'
                   AND t.id = l.transaction_id
                   AND t.state = 'done'
                   AND t.settlement_fen != l.settlement_fen
                   AND payment.id = t.payment_id
                   AND payment.settlement_fen != payment.amount_fen
                   AND NOT EXISTS (
                       SELECT 1 FROM wechat_pay_promotion AS p
                        WHERE p.transaction_id = t.id)
                """,
                bill=self.id,
                now=fields.Datetime.now(),
            )
        )

    def _link_fund_lines(self):
        """Find the transaction of every movement of money."""
        self.env.flush_all()
        for condition in (
            SQL("t.remote_no = f.business_no AND f.business_no != ''"),
            # WeChat's number may be unknown to us; then ours is the voucher's.
            SQL(
                """
                t.number = f.voucher_no AND t.remote_no IS NULL
                AND t.kind = CASE WHEN f.direction = 'in' OR f.business_type LIKE %s
                             THEN 'payment' ELSE 'refund' END
                """,
                "%手续费%",
            ),
            # A reversal has a number of WeChat's own; the trade bill says of what.
            SQL(
                """
                t.kind = 'payment' AND EXISTS (
                    SELECT 1 FROM wechat_pay_bill_line AS l
                     WHERE l.merchant_id = f.merchant_id
                       AND l.trade_state = 'REVOKED'
                       AND l.remote_no = f.business_no
                       AND l.order_number = t.number)
                """
            ),
        ):
            self.env.cr.execute(
                SQL(
                    """
                    UPDATE wechat_pay_fund_line AS f
                       SET transaction_id = t.id
                      FROM wechat_pay_transaction AS t
                     WHERE f.bill_id = %(bill)s
                       AND f.transaction_id IS NULL
                       AND t.merchant_id = f.merchant_id
                       AND %(condition)s
                    """,
                    bill=self.id,
                    condition=condition,
                )
            )
        self.env["wechat.pay.fund.line"].invalidate_model(["transaction_id"])

    # === THE SEVEN KINDS === #

    def _differences(self):
        """Return one query for each kind.

        Columns: kind, key, number, aspect, line_id, transaction_id, ours_fen,
        theirs_fen.
        """
        return [
            self._find_missing(),
            self._find_unknown(),
            self._find_amount(),
            self._find_state(),
            self._find_reversed(),
            self._find_fee(),
            self._find_fee_sum(),
        ]

    def _missing_window(self):
        """Return the times between which a trade must stand in a bill by now.

        What took place at midnight may stand in the neighbouring bill. While that
        one is still to come, nothing is called missing.
        """
        since, until = bill_file.day_bounds(self.date)
        if not self._is_in(self.date - timedelta(days=1)):
            since += MIDNIGHT
        if not self._is_in(self.date + timedelta(days=1)):
            until -= MIDNIGHT
        return since, until

    def _is_in(self, day):
        """Whether the trade bill of a day is in, or will not come any more."""
        if day < self._today() - timedelta(days=LOOK_BACK):
            return True
        return bool(
            self.search_count(
                [
                    ("merchant_id", "=", self.merchant_id.id),
                    ("bill_type", "=", "trade"),
                    ("date", "=", day),
                    ("state", "in", ("done", "none")),
                ]
            )
        )

    def _find_missing(self):
        since, until = self._missing_window()
        kinds = {"success": ["payment"], "refund": ["refund"]}
        return SQL(
            """
            SELECT t.kind || '_missing' AS kind, t.number AS key, t.number,
                   NULL AS aspect, NULL::int AS line_id, t.id AS transaction_id,
                   t.amount_fen AS ours_fen, 0::bigint AS theirs_fen
              FROM wechat_pay_transaction AS t
             WHERE t.merchant_id = %(merchant)s
               -- Who has paid is done, also if WeChat did not say when.
               AND COALESCE(t.success_at, t.create_date) >= %(since)s
               AND COALESCE(t.success_at, t.create_date) < %(until)s
               AND t.state = 'done'
               AND t.kind = ANY(%(kinds)s)
               AND NOT EXISTS (
                   SELECT 1 FROM wechat_pay_bill_line AS l
                    WHERE l.merchant_id = t.merchant_id
                      AND l.kind = t.kind AND l.number = t.number)
            """,
            merchant=self.merchant_id.id,
            since=since,
            until=until,
            kinds=kinds.get(self.covers, ["payment", "refund"]),
        )

    def _find_unknown(self):
        """Lines without a transaction.

        The number of a reversal is WeChat's own; the payment decides then.
        """
        return SQL(
            """
            SELECT l.kind || '_unknown' AS kind, l.number AS key, l.number,
                   NULL AS aspect, l.id AS line_id, NULL::int AS transaction_id,
                   0::bigint AS ours_fen, l.amount_fen AS theirs_fen
              FROM wechat_pay_bill_line AS l
             WHERE l.bill_id = %(bill)s
               AND l.transaction_id IS NULL
               AND NOT (l.trade_state = 'REVOKED' AND EXISTS (
                   SELECT 1 FROM wechat_pay_transaction AS p
                    WHERE p.merchant_id = l.merchant_id AND p.kind = 'payment'
                      AND p.number = l.order_number))
            """,
            bill=self.id,
        )

    def _find_amount(self):
        """Order, settlement or coupons differ; the first that does is shown."""
        return SQL(
            """
            SELECT 'amount' AS kind, t.kind || ':' || t.number AS key, t.number,
                   found.aspect, l.id AS line_id, t.id AS transaction_id,
                   found.ours AS ours_fen, found.theirs AS theirs_fen
              FROM wechat_pay_bill_line AS l
              JOIN wechat_pay_transaction AS t ON t.id = l.transaction_id
              JOIN LATERAL (
                   SELECT aspect, ours, theirs
                     FROM (VALUES
                          (1, 'order', t.amount_fen, l.amount_fen),
                          (2, 'settlement', CASE t.state WHEN 'done'
                              THEN t.settlement_fen ELSE l.settlement_fen END,
                              l.settlement_fen),
                          (3, 'coupon', CASE WHEN t.state = 'done'
                                  AND t.kind = 'payment' AND t.payer_total_fen > 0
                              THEN t.settlement_fen - t.payer_total_fen
                              ELSE l.coupon_fen END, l.coupon_fen)
                          ) AS pairs (place, aspect, ours, theirs)
                    WHERE ours IS DISTINCT FROM theirs
                    ORDER BY place LIMIT 1
                   ) AS found ON TRUE
             WHERE l.bill_id = %(bill)s
            """,
            bill=self.id,
        )

    def _find_state(self):
        """One says paid or refunded, the other does not.

        A payment of ours that was cancelled and reversed is right; one that nobody
        counts on is, too, once its money is on its way back.
        """
        return SQL(
            """
            SELECT 'state' AS kind, t.kind || ':' || t.number AS key, t.number,
                   CASE WHEN t.abandoned AND t.state = 'done' THEN 'abandoned'
                        WHEN t.state = 'done' THEN 'not_theirs'
                        ELSE 'not_ours' END AS aspect,
                   l.id AS line_id, t.id AS transaction_id,
                   CASE t.state WHEN 'done' THEN t.amount_fen ELSE 0 END AS ours_fen,
                   CASE WHEN l.kind = 'refund' AND l.refund_state != 'SUCCESS'
                        THEN 0 ELSE l.amount_fen END AS theirs_fen
              FROM wechat_pay_bill_line AS l
              JOIN wechat_pay_transaction AS t ON t.id = l.transaction_id
             WHERE l.bill_id = %(bill)s
               AND CASE
                   WHEN l.kind = 'refund' AND l.refund_state = 'SUCCESS'
                       THEN t.state != 'done'
                   WHEN l.kind = 'refund'
                       THEN l.refund_state IN ('FAIL', 'CHANGE') AND t.state = 'done'
                   WHEN t.state = 'done' AND NOT COALESCE(t.abandoned, FALSE)
                       THEN FALSE
                   ELSE NOT EXISTS (
                       SELECT 1 FROM wechat_pay_bill_line AS r
                        WHERE r.merchant_id = l.merchant_id
                          AND r.order_number = l.order_number
                          AND r.trade_state = 'REVOKED')
                    AND NOT (t.state = 'done' AND EXISTS (
                       SELECT 1 FROM wechat_pay_transaction AS back
                        WHERE back.payment_id = t.id
                          AND back.state = ANY(%(on_the_way)s)))
                   END
            """,
            bill=self.id,
            on_the_way=list(_ON_THE_WAY),
        )

    def _find_reversed(self):
        """The bill says that a payment was reversed, and we count on it."""
        return SQL(
            """
            SELECT 'state' AS kind, 'payment:' || t.number AS key, t.number,
                   'not_theirs' AS aspect, l.id AS line_id, t.id AS transaction_id,
                   t.amount_fen AS ours_fen, 0::bigint AS theirs_fen
              FROM wechat_pay_bill_line AS l
              JOIN wechat_pay_transaction AS t
                ON t.merchant_id = l.merchant_id AND t.kind = 'payment'
               AND t.number = l.order_number
             WHERE l.bill_id = %(bill)s
               AND l.trade_state = 'REVOKED'
               AND l.transaction_id IS NULL
               AND t.state = 'done' AND NOT COALESCE(t.abandoned, FALSE)
            """,
            bill=self.id,
        )

    def _find_fee(self):
        """The fee of a line is not its rate.

        What a refund gives back is the difference of two rounded fees, so that in
        the end all comes back: it may be a fen beside the rate.
        """
        return SQL(
            """
            SELECT 'fee' AS kind, l.kind || ':' || l.number AS key, l.number,
                   'rate' AS aspect, l.id AS line_id, l.transaction_id,
                   l.fee_expected_fen AS ours_fen, l.fee_fen AS theirs_fen
              FROM wechat_pay_bill_line AS l
             WHERE l.bill_id = %(bill)s
               AND abs(l.fee_fen - l.fee_expected_fen)
                   > CASE l.kind WHEN 'refund' THEN 1 ELSE 0 END
            """,
            bill=self.id,
        )

    def _find_fee_sum(self):
        """The fees of the day are not those that were taken from the account.

        The fund flow shows the fee of a payment as a movement of its own, and that
        of a refund as less money taken. What it books on a neighbouring day is
        found by its number.
        """
        since, until = bill_file.day_bounds(self.date)
        return SQL(
            """
            WITH movement AS (
                -- Not joined but grouped: quick without statistics, too.
                SELECT l.remote_no AS no, l.kind, l.fee_fen AS theirs,
                       l.settlement_fen, l.trade_at, 0 AS net, 0 AS fee
                  FROM wechat_pay_bill_line AS l
                 WHERE l.bill_id = %(bill)s
                   AND (l.kind = 'payment' OR l.refund_state IN ('SUCCESS', ''))
                 UNION ALL
                SELECT f.business_no, NULL, NULL, NULL, NULL, f.amount_fen,
                       CASE WHEN f.business_type LIKE %(fee)s
                           THEN -f.amount_fen ELSE 0 END
                  FROM wechat_pay_fund_line AS f
                 WHERE f.bill_id = ANY(%(flows)s)
            ), trade AS (
                SELECT sum(theirs) AS theirs,
                       CASE max(kind) WHEN 'payment' THEN sum(fee)
                           ELSE -sum(net) - sum(settlement_fen) END AS taken
                  FROM movement
                 GROUP BY no
                -- Of the trades those that were booked, or should have been.
                HAVING max(kind) IS NOT NULL
                   AND (count(*) > count(kind)
                        OR min(trade_at) >= %(since)s AND min(trade_at) < %(until)s)
            ), sums AS (
                SELECT COALESCE(sum(theirs), 0) AS theirs,
                       COALESCE(sum(taken), 0) AS taken
                  FROM trade
            ), others AS (
                SELECT -COALESCE(sum(f.amount_fen), 0) AS taken
                  FROM wechat_pay_fund_line AS f
                  JOIN wechat_pay_bill AS b ON b.id = f.bill_id
                 WHERE f.merchant_id = %(merchant)s AND b.date = %(day)s
                   AND f.business_type LIKE %(fee)s
                   AND f.booked_at >= %(since)s AND f.booked_at < %(until)s
                   -- A trade of ours that the bill lacks is on the list already.
                   AND f.transaction_id IS NULL
                   AND NOT EXISTS (
                       SELECT 1 FROM wechat_pay_bill_line AS l
                        WHERE l.merchant_id = f.merchant_id
                          AND l.remote_no = f.business_no)
            )
            SELECT 'fee' AS kind, %(key)s AS key, %(key)s AS number,
                   'sum' AS aspect, NULL::int AS line_id,
                   NULL::int AS transaction_id,
                   sums.theirs::bigint AS ours_fen,
                   (sums.taken + others.taken)::bigint AS theirs_fen
              FROM sums, others
             WHERE sums.theirs != sums.taken + others.taken
               AND EXISTS (
                   SELECT 1 FROM wechat_pay_bill AS b
                    WHERE b.merchant_id = %(merchant)s AND b.date = %(day)s
                      AND b.bill_type = 'fundflow' AND b.state = 'done')
            """,
            bill=self.id,
            merchant=self.merchant_id.id,
            day=self.date,
            flows=self._flows_around().ids,
            since=since + MIDNIGHT,
            until=until - MIDNIGHT,
            fee="%手续费%",
            key=self.date.isoformat(),
        )

    def _flows_around(self):
        """Return the fund flows of this day and those beside it."""
        one = timedelta(days=1)
        return self.search(
            [
                ("merchant_id", "=", self.merchant_id.id),
                ("bill_type", "=", "fundflow"),
                ("date", ">=", self.date - one),
                ("date", "<=", self.date + one),
            ]
        )

    # === THE WORKLIST === #

    def _keep_differences(self, rows, run):
        """Add what is new, renew what is known.

        One statement, so that a second import of the same bill adds nothing. What
        a person has settled stays settled as long as it is the same; their note stays
        where it is not. What has settled itself opens again.
        """
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO wechat_pay_difference AS known (
                    merchant_id, company_id, currency_id, bill_id, kind, key,
                    number, aspect,
                    line_id, transaction_id, ours_fen, theirs_fen, state, run,
                    create_uid, write_uid, create_date, write_date)
                SELECT DISTINCT ON (found.kind, found.key)
                       %(merchant)s, %(company)s, %(currency)s, %(bill)s,
                       found.kind, found.key,
                       found.number, found.aspect, found.line_id,
                       found.transaction_id, found.ours_fen, found.theirs_fen,
                       'open', %(run)s, %(uid)s, %(uid)s, %(now)s, %(now)s
                  FROM (%(rows)s) AS found
                ON CONFLICT (merchant_id, kind, key) DO UPDATE
                   SET run = EXCLUDED.run,
                       bill_id = EXCLUDED.bill_id,
                       line_id = EXCLUDED.line_id,
                       transaction_id = EXCLUDED.transaction_id,
                       aspect = EXCLUDED.aspect,
                       ours_fen = EXCLUDED.ours_fen,
                       theirs_fen = EXCLUDED.theirs_fen,
                       state = CASE WHEN %(decided)s
                           THEN known.state ELSE 'open' END,
                       settled_at = CASE WHEN %(decided)s
                           THEN known.settled_at END,
                       settled_by_id = CASE WHEN %(decided)s
                           THEN known.settled_by_id END,
                       note = CASE WHEN known.state = 'settled'
                               AND known.settled_by_id IS NULL
                           THEN NULL ELSE known.note END,
                       write_date = EXCLUDED.write_date
                """,
                merchant=self.merchant_id.id,
                company=self.company_id.id,
                currency=self.currency_id.id,
                bill=self.id,
                run=run,
                uid=self.env.uid,
                now=fields.Datetime.now(),
                decided=_DECIDED,
                rows=rows,
            )
        )

    def _settle_gone(self, run):
        """What was not found any more has settled itself."""
        self.env.cr.execute(
            SQL(
                """
                UPDATE wechat_pay_difference
                   SET state = 'settled', settled_at = %(now)s, note = %(note)s,
                       write_date = %(now)s
                 WHERE bill_id = %(bill)s AND state = 'open' AND run != %(run)s
                """,
                bill=self.id,
                run=run,
                now=fields.Datetime.now(),
                note=self.env._("Gone: bill and transaction now say the same."),
            )
        )
