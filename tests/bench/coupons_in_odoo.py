"""Runs in Odoo's shell: coupons and redemptions by the million, against their peers.

Prints one JSON line for each figure. Every measured call has a cursor of its own, as
a request has.
"""

# ruff: noqa: F821
import base64
import datetime
import json
import time
import uuid
from statistics import median

from psycopg2.errors import UniqueViolation

from odoo import api

SMALL_NUMBER, LARGE_NUMBER = SETTINGS["few"], SETTINGS["many"]
TRIALS = SETTINGS["trials"]
cashier = env.ref("wechat_shop.user_cashier")
marketer = env.ref("wechat_shop.user_marketer")
till = env.ref("wechat_shop.till_1")
product = env.ref("wechat_shop.product_nuts")
company = till.company_id
context = {
    "allowed_company_ids": [company.id],
    "lang": "zh_CN",
    "tz": "Asia/Shanghai",
}
env = env(context=context)
today = datetime.date.today()


def result(bench, **values):
    print("RESULT " + json.dumps({"bench": bench, **values}), flush=True)


def new_template(name):
    template = env["coupon.template"].create(
        {
            "name": name,
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
    return template


def request(function, user=cashier):
    """Run as one request of a user; return milliseconds and the answer."""
    with env.registry.cursor() as cr:
        fresh = api.Environment(cr, user.id, dict(context))
        start = time.perf_counter()
        answer = function(fresh)
        fresh.flush_all()
        cr.commit()
        return (time.perf_counter() - start) * 1000, answer


def many_times(function, count=TRIALS, user=cashier):
    return median(
        request(lambda fresh, n=n: function(fresh, n), user)[0] for n in range(count)
    )


# === MAKING CODES === #

ours = new_template("Ours")
theirs = env["loyalty.program"].create(
    {
        "name": "Odoo coupons",
        "program_type": "coupons",
        "company_id": company.id,
        "trigger": "with_code",
        "applies_on": "current",
        "rule_ids": [(0, 0, {})],
        "reward_ids": [(0, 0, {"discount_mode": "per_order", "discount": 5})],
    }
)
env.cr.commit()
MADE = SETTINGS["made"]
PARTS = 10


def generate_ours(fresh):
    wizard = fresh["coupon.generate.wizard"].create(
        {"template_id": ours.id, "quantity": MADE}
    )
    wizard.action_generate()
    while fresh["coupon.template"].browse(ours.id).coupon_count < MADE:
        raise AssertionError("not all were made")


def generate_theirs(fresh):
    wizard = fresh["loyalty.generate.wizard"].create(
        {"program_id": theirs.id, "mode": "anonymous", "coupon_qty": MADE // PARTS}
    )
    wizard.with_context(action_no_send_mail=True).generate_coupons()


def all_of_theirs():
    """Odoo's codes have 32 random bits: 100 000 at once collide more often than not."""
    spent, made, collided = 0, 0, 0
    while made < PARTS:
        try:
            spent += request(generate_theirs, env.ref("base.user_admin"))[0]
            made += 1
        except UniqueViolation:
            collided += 1
    return spent, collided


mine, _answer = request(generate_ours, marketer)
peer, collided = all_of_theirs()
result(
    "codes generated vs Odoo's own generator",
    unit="ms",
    codes=MADE,
    peer_collided=collided,
    ours=round(mine),
    peer=round(peer),
    ratio=round(mine / peer, 3),
    times_faster=round(peer / mine, 1),
)


def import_ours():
    """From a file, by the job that shows how far it is."""
    lines = "\n".join(f"IMPORTED{number:010d}" for number in range(MADE))
    content = base64.b64encode(f"code\n{lines}\n".encode())
    start = time.perf_counter()

    def order(fresh):
        batch = fresh["coupon.code.batch"].create(
            {
                "template_id": ours.id,
                "kind": "import",
                "file": content,
                "file_name": "codes.csv",
            }
        )
        batch.action_start()
        return batch.id

    batch_id = request(order, marketer)[1]
    state = "running"
    while state == "running":
        env["coupon.code.batch"].sudo()._job_drain()
        env.cr.rollback()
        env.invalidate_all()
        batch = env["coupon.code.batch"].browse(batch_id)
        state = batch.state
    assert (state, batch.made_count) == ("done", MADE), (state, batch.error)
    return (time.perf_counter() - start) * 1000


mine = import_ours()
result(
    "codes imported from a file vs Odoo's own generator",
    unit="ms",
    codes=MADE,
    ours=round(mine),
    peer=round(peer),
    ratio=round(mine / peer, 3),
    times_faster=round(peer / mine, 1),
)

# === THE TILL'S START === #


def start_of_till(fresh):
    session = fresh["pos.config"].browse(till.id).current_session_id
    return session.load_data([])


request(lambda fresh: fresh["pos.config"].browse(till.id).open_ui())
request(
    lambda fresh: (
        fresh["pos.config"]
        .browse(till.id)
        .current_session_id.set_opening_control(0, "")
    )
)
env.cr.rollback()
env.cr.execute(
    "DELETE FROM loyalty_card WHERE program_id IN %s", [(ours.program_id.id, theirs.id)]
)
env.cr.execute("UPDATE coupon_template_stock SET handed_out = 0")
env.cr.commit()


def measure_start():
    request(start_of_till)
    times = [request(start_of_till) for _try in range(5)]
    size = len(json.dumps(times[-1][1], default=str))
    return median(ms for ms, _answer in times), size


def insert_coupons(template, number):
    env.cr.execute(
        """
        INSERT INTO loyalty_card (program_id, company_id, code, points, active,
                                  coupon_template_id, wechat_state,
                                  wechat_valid_from, wechat_valid_to,
                                  create_date, write_date, create_uid, write_uid)
             SELECT %s, %s, %s || lpad(number::text, 11, '0'), 1, true, %s, 'usable',
                    now() - interval '1 day', now() + interval '30 days',
                    now(), now(), 1, 1
               FROM generate_series(1, %s) number
        """,
        [template.program_id.id, company.id, f"T{template.id}-", template.id, number],
    )
    env.cr.commit()
    env.cr.execute("ANALYZE loyalty_card")
    env.cr.commit()


without_ms, without_size = measure_start()
insert_coupons(new_template("Held by many"), SETTINGS["held"])
with_ms, with_size = measure_start()
result(
    "start of the till with coupons vs without",
    unit="ms",
    coupons=SETTINGS["held"],
    ours=round(with_ms),
    peer=round(without_ms),
    ratio=round(with_ms / without_ms, 2),
    more_bytes=with_size - without_size,
)

# === LOOK-UP, RESERVE, LIST, FORM === #

cart = {
    "lines": [
        {
            "uuid": str(uuid.uuid4()),
            "product_id": product.id,
            "qty": 1,
            "price_total_fen": 12800,
            "is_reward_line": False,
        }
    ],
    "total_fen": 12800,
}


def figures_of(template, number):
    """Median milliseconds of what people do with the coupons of a template."""
    codes = [
        f"T{template.id}-{(n + 1) * (number // (TRIALS + 1)):011d}"
        for n in range(TRIALS)
    ]
    cards = env["loyalty.card"].search([("code", "in", codes)])
    ids = {card.code: card.id for card in cards}

    def look_up(fresh, n):
        answer = (
            fresh["pos.config"]
            .browse(till.id)
            .wechat_coupon_lookup(codes[n], str(uuid.uuid4()), False, cart)
        )
        assert answer["ok"], answer

    def reserve(fresh, n):
        shown = [{"id": ids[codes[n]], "code": codes[n]}]
        answer = (
            fresh["pos.config"]
            .browse(till.id)
            .wechat_coupon_reserve(str(uuid.uuid4()), shown, cart)
        )
        assert answer["ok"], answer

    listed = {"code": {}, "wechat_status": {}, "coupon_template_id": {}, "points": {}}

    def show_list(fresh, _n):
        fresh["loyalty.card"].web_search_read(
            [("coupon_template_id", "=", template.id)], listed, limit=80
        )

    def show_program(fresh, _n):
        fresh["loyalty.program"].browse(template.program_id.id).web_read(
            {"name": {}, "coupon_count": {}, "total_order_count": {}}
        )

    def show_template(fresh, _n):
        fresh["coupon.template"].browse(template.id).web_read(
            {"name": {}, "coupon_count": {}, "redemption_count": {}}
        )

    return {
        "look-up": many_times(look_up),
        "reserve": many_times(reserve),
        "list": many_times(show_list, 5, marketer),
        "program form": many_times(show_program, 5, marketer),
        "template form": many_times(show_template, 5, marketer),
    }


few = new_template("Few")
insert_coupons(few, SMALL_NUMBER)
figures_of(few, SMALL_NUMBER)  # what is done once is done before the clock starts
env.cr.rollback()  # a new snapshot
env.cr.execute("DELETE FROM coupon_redemption")
env.cr.commit()
small = figures_of(few, SMALL_NUMBER)
lots = new_template("Lots")
insert_coupons(lots, LARGE_NUMBER)
large = figures_of(lots, LARGE_NUMBER)
for name, ms in large.items():
    result(
        f"{name} with many coupons vs few",
        unit="ms, median",
        coupons=LARGE_NUMBER,
        few=SMALL_NUMBER,
        ours=round(ms, 2),
        peer=round(small[name], 2),
        ratio=round(ms / small[name], 2),
    )

# === REPORTS === #

shops = env["pos.config"].search([("company_id", "=", company.id)]).ids
env.cr.rollback()  # a new snapshot
env.cr.execute("DELETE FROM coupon_redemption")
env.cr.execute(
    """
    INSERT INTO coupon_redemption (
           coupon_id, template_id, program_id, channel, company_id, state, order_uuid,
           config_id, redeemed_at, reserved_at, discount_fen, order_total_fen,
           discount_amount, order_amount, request_no, remote_state, needs_attention,
           create_date, write_date, create_uid, write_uid)
    SELECT c.id, (%(templates)s::int[])[1 + n %% 2], c.program_id, 'local',
           %(company)s, 'redeemed', md5(n::text),
           (%(shops)s::int[])[1 + n %% %(shop_count)s],
           now() - (n %% 365) * interval '1 day', now(), 500, 12300, 5, 123,
           'bench' || n, 'none', false, now(), now(), 1, 1
      FROM (SELECT id, program_id, row_number() OVER (ORDER BY id) AS n
              FROM loyalty_card WHERE coupon_template_id = %(lots)s) c
    """,
    {
        "templates": [few.id, lots.id],
        "company": company.id,
        "shops": shops,
        "shop_count": len(shops),
        "lots": lots.id,
    },
)
rows = env.cr.rowcount
env.cr.commit()
env.cr.execute("ANALYZE coupon_redemption")
env.cr.commit()


def grouped(fresh, _n):
    return fresh["coupon.redemption"].formatted_read_group(
        [("state", "=", "redeemed")],
        ["redeemed_at:month", "template_id", "config_id"],
        ["__count", "discount_amount:sum"],
    )


def bare(fresh, _n):
    """The same figures: months of the shop's own calendar."""
    fresh.cr.execute(
        """
        SELECT date_trunc('month', redeemed_at AT TIME ZONE 'UTC'
                                               AT TIME ZONE 'Asia/Shanghai'),
               template_id, config_id, count(*), sum(discount_amount)
          FROM coupon_redemption
         WHERE state = 'redeemed' AND company_id = %s
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        """,
        [company.id],
    )
    return fresh.cr.fetchall()


groups = request(lambda fresh: grouped(fresh, 0), marketer)[1]
assert sum(group["__count"] for group in groups) == rows, (len(groups), rows)
mine = many_times(grouped, 7, marketer)
limit = many_times(bare, 7, marketer)
result(
    "redemptions grouped by month, template, shop vs the bare SQL",
    unit="ms, median",
    redemptions=rows,
    ours=round(mine),
    limit=round(limit),
    ratio=round(mine / limit, 2),
)
