"""Runs in Odoo's shell: reserve and redeem against Odoo's own three calls.

Every call is a request of its own, so each gets a cursor, an environment of the
cashier and a commit. Prints one JSON line of lists in milliseconds.
"""

# ruff: noqa: F821
import datetime
import json
import time
import uuid

from odoo import api

ROWS, TRIALS = SETTINGS["rows"], SETTINGS["trials"]
cashier = env.ref("wechat_shop.user_cashier")
till = env.ref("wechat_shop.till_1")
product = env.ref("wechat_shop.product_nuts")
company = till.company_id
env = env(context={"allowed_company_ids": [company.id], "lang": "zh_CN"})
today = datetime.date.today()

template = env["coupon.template"].create(
    {
        "name": "立减 5 元",
        "channel": "local",
        "company_id": company.id,
        "coupon_type": "amount",
        "amount_fen": 500,
        "date_type": "range",
        "date_from": today - datetime.timedelta(days=1),
        "date_to": today + datetime.timedelta(days=30),
    }
)
template.action_publish()
ours = template.program_id
theirs = env["loyalty.program"].create(
    {
        "name": "Odoo coupons",
        "program_type": "coupons",
        "company_id": company.id,
        "trigger": "with_code",
        "applies_on": "current",
        "rule_ids": [(0, 0, {})],
        "reward_ids": [
            (
                0,
                0,
                {
                    "reward_type": "discount",
                    "discount_mode": "per_order",
                    "discount": 5,
                    "required_points": 1,
                },
            )
        ],
    }
)
env.flush_all()
for program, prefix, owner in ((ours, "A", template.id), (theirs, "B", None)):
    env.cr.execute(
        """
        INSERT INTO loyalty_card (program_id, company_id, code, points, active,
                                  coupon_template_id, wechat_state,
                                  wechat_valid_from, wechat_valid_to,
                                  create_date, write_date, create_uid, write_uid)
             SELECT %s, %s, %s || lpad(number::text, 11, '0'), 1, true,
                    %s, %s, now() - interval '1 day', now() + interval '30 days',
                    now(), now(), 1, 1
               FROM generate_series(1, %s) number
        """,
        [program.id, company.id, prefix, owner, owner and "usable", ROWS // 2],
    )
env.cr.commit()
env.cr.execute("ANALYZE loyalty_card")
till.with_user(cashier).open_ui()
session = till.current_session_id
session.set_opening_control(0, "")
env.cr.commit()


def order_of(program, card):
    """A draft order with one reward line, made before the clock starts."""
    reward = program.reward_ids[:1]
    lines = [
        {"product_id": product.id, "price_unit": 128.0},
        {
            "product_id": reward.discount_line_product_id.id,
            "price_unit": -5.0,
            "is_reward_line": True,
            "reward_id": reward.id,
            "coupon_id": card,
            "reward_identifier_code": str(card),
            "points_cost": 1,
        },
    ]
    return env["pos.order"].create(
        {
            "uuid": str(uuid.uuid4()),
            "session_id": session.id,
            "company_id": company.id,
            "amount_total": 123.0,
            "amount_tax": 0,
            "amount_paid": 0,
            "amount_return": 0,
            "lines": [
                (
                    0,
                    0,
                    {
                        "qty": 1,
                        "price_subtotal": line["price_unit"],
                        "price_subtotal_incl": line["price_unit"],
                        **line,
                    },
                )
                for line in lines
            ],
        }
    )


def cards(prefix, program):
    step = max(1, (ROWS // 2) // TRIALS)
    codes = [f"{prefix}{number * step:011d}" for number in range(1, TRIALS + 1)]
    found = env["loyalty.card"].search([("code", "in", codes)])
    return [(card.id, card.code, order_of(program, card.id)) for card in found]


def request(function):
    """Run as one request of the cashier: its own cursor and commit."""
    with env.registry.cursor() as cr:
        fresh = api.Environment(cr, cashier.id, dict(env.context))
        function(fresh)
        fresh.flush_all()


def our_way(card, code, order):
    cart = {
        "lines": [
            {
                "uuid": order.lines[0].uuid,
                "product_id": product.id,
                "qty": 1,
                "price_total_fen": 12800,
                "is_reward_line": False,
            }
        ],
        "total_fen": 12800,
    }

    def reserve(fresh):
        answer = (
            fresh["pos.config"]
            .browse(till.id)
            .wechat_coupon_reserve(order.uuid, [{"id": card, "code": code}], cart)
        )
        assert answer["ok"], answer

    request(reserve)
    request(lambda fresh: fresh["pos.order"].browse(order.id)._wechat_redeem_coupons())


def odoo_way(card, code, order):
    def use(fresh):
        answer = (
            fresh["pos.config"]
            .browse(till.id)
            .use_coupon_code(code, str(today), False, False)
        )
        assert answer["successful"], answer

    def validate(fresh):
        answer = (
            fresh["pos.order"]
            .browse(order.id)
            .validate_coupon_programs({str(card): -1}, [])
        )
        assert answer["successful"], answer

    def confirm(fresh):
        fresh["pos.order"].browse(order.id).confirm_coupon_programs(
            {
                str(card): {
                    "points": -1,
                    "program_id": theirs.id,
                    "coupon_id": card,
                    "barcode": False,
                    "line_codes": [str(card)],
                }
            }
        )

    for call in (use, validate, confirm):
        request(call)


mine, peers = cards("A", ours), cards("B", theirs)
env.cr.commit()
times = {"ours": [], "peer": []}
for number, (one, other) in enumerate(zip(mine, peers, strict=True)):
    pairs = [("ours", our_way, one), ("peer", odoo_way, other)]
    for name, way, arguments in pairs if number % 2 else reversed(pairs):
        start = time.perf_counter()
        way(*arguments)
        times[name].append((time.perf_counter() - start) * 1000)
env.cr.rollback()  # a new snapshot
env.invalidate_all()
redeemed = env["coupon.redemption"].search_count([("state", "=", "redeemed")])
assert redeemed == len(mine), (redeemed, len(mine))
print("RESULT " + json.dumps(times))
