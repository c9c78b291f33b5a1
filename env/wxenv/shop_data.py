"""A small shop in Shenzhen for trying, training and tests.

This text runs in Odoo's shell (``env`` is Odoo's) and may run again: each record has
an external id, so a second run changes nothing. ``SETTINGS`` is put in by the caller.
"""

# ruff: noqa: F821
from odoo.fields import Command

company = env.ref("base.demo_asbe_company_cn")
env = env(
    user=env.ref("base.user_admin"),
    context={
        "allowed_company_ids": [company.id],
        "lang": "zh_CN",
        "tracking_disable": 1,
    },
)


def record(name, model, values):
    """Create a record once under the external id ``wechat_shop.<name>``."""
    found = env.ref(f"wechat_shop.{name}", raise_if_not_found=False)
    if found:
        return found
    found = env[model].create(values)
    env["ir.model.data"].sudo().create(
        {
            "module": "wechat_shop",
            "name": name,
            "model": model,
            "res_id": found.id,
            "noupdate": True,
        }
    )
    return found


def wechat_account():
    """The shop's Official Account, at the sandbox."""
    account = record(
        "account",
        "wechat.account",
        {
            "name": "微光便利店",
            "company_id": company.id,
            "account_type": "service",
            "appid": SETTINGS["appid"],
            "original_id": SETTINGS["original_id"],
            "environment": "sandbox",
            "sandbox_url": "http://127.0.0.1:8070",
            "callback_mode": "safe",
        },
    )
    account.write(
        {name: SETTINGS[name] for name in ("secret", "token", "encoding_aes_key")}
    )
    return account


def ledger(name, code, account_type):
    """An account of the books, the chart's own if it has one of that name."""
    accounts = env["account.account"]
    return accounts.search(
        [("company_ids", "in", company.ids), ("name", "=", name)], limit=1
    ) or record(
        f"ledger_{code}",
        "account.account",
        {
            "name": name,
            "code": code,
            "account_type": account_type,
            "company_ids": [Command.set(company.ids)],
            "reconcile": account_type == "asset_current",
        },
    )


def online_payment(merchant):
    """Invoices and payment links can be paid with WeChat, at the sandbox."""
    provider = env["payment.provider"].with_context(active_test=False)
    provider = provider.search(
        [("code", "=", "wechat_pay"), ("company_id", "=", company.id)], limit=1
    ) or record(
        "provider",
        "payment.provider",
        {"name": "微信支付", "code": "wechat_pay", "company_id": company.id},
    )
    provider.write(
        {
            "wechat_merchant_id": merchant.id,
            "state": "test",
            "is_published": True,
            "payment_method_ids": [
                Command.set(env.ref("payment.payment_method_wechat_pay").ids)
            ],
        }
    )


def wechat_pay():
    """The shop's WeChat Pay merchant, its journal and the till's payment method."""
    journal = record(
        "wechat_journal",
        "account.journal",
        {
            "name": "微信支付",
            "type": "bank",
            "code": "WXP",
            "company_id": company.id,
        },
    )
    merchant = record(
        "merchant",
        "wechat.merchant",
        {
            "name": "微光便利店",
            "mchid": SETTINGS["mchid"],
            "company_id": company.id,
            "account_ids": [Command.set(wechat_account().ids)],
            "environment": "sandbox",
            "sandbox_url": "http://127.0.0.1:8070",
            "journal_id": journal.id,
            "fee_account_id": ledger("微信支付手续费", "660301", "expense").id,
            "discount_account_id": ledger("微信免充值券", "660121", "expense").id,
            # The sandbox says its own when it starts.
            "key_ids": [
                Command.create(
                    {
                        "kind": "public_key",
                        "serial": "PUB_KEY_ID_0",
                        "pem": SETTINGS["public_pem"],
                    }
                )
            ],
        },
    )
    merchant.write(SETTINGS["merchant"])
    online_payment(merchant)
    return record(
        "wechat_method",
        "pos.payment.method",
        {
            "name": "微信支付",
            "journal_id": journal.id,
            "company_id": company.id,
            "payment_method_type": "terminal",
            "use_payment_terminal": "wechat_pay",
            "wechat_merchant_id": merchant.id,
        },
    )


company = company.with_env(env)
company.write(
    {
        "name": "深圳微光零售有限公司",
        "street": "深南大道 1 号",
        "city": "深圳",
        "state_id": env.ref("base.state_cn_GD").id,
        "zip": "518000",
        "phone": "+86 755 8888 6666",
        "email": "shop@shop.example",
    }
)
env.user.write(
    {
        "company_ids": [Command.link(company.id)],
        "company_id": company.id,
        "tz": "Asia/Shanghai",
    }
)

company.partner_id.tz = "Asia/Shanghai"
sale_13 = env["account.tax"].search(
    [
        ("company_id", "=", company.id),
        ("type_tax_use", "=", "sale"),
        ("amount", "=", 13.0),
    ],
    limit=1,
)
tax = env["account.tax"].search(
    [
        ("company_id", "=", company.id),
        ("type_tax_use", "=", "sale"),
        ("amount", "=", 13.0),
        ("price_include_override", "=", "tax_included"),
    ],
    limit=1,
) or record(
    "tax",
    "account.tax",
    {
        "name": "增值税 13%（含税）",
        "amount": 13.0,
        "type_tax_use": "sale",
        "price_include_override": "tax_included",
        "tax_group_id": sale_13.tax_group_id.id,
        "company_id": company.id,
    },
)
categories = {
    key: record(f"category_{key}", "pos.category", {"name": name, "color": color})
    for key, name, color in (
        ("drinks", "饮料", 4),
        ("snacks", "零食", 2),
        ("daily", "日用品", 10),
    )
}
PRODUCTS = (
    ("tea", "冰红茶 500ml", 5.0, "6901234567892", "drinks"),
    ("water", "矿泉水 550ml", 2.0, "6901234500008", "drinks"),
    ("milk", "鲜牛奶 950ml", 18.8, "6901234500015", "drinks"),
    ("coffee", "挂耳咖啡 10 包", 59.9, "6901234500022", "drinks"),
    ("noodles", "红烧牛肉面", 4.5, "6901234500039", "snacks"),
    ("nuts", "每日坚果 750g", 128.0, "6901234500046", "snacks"),
    ("chips", "原味薯片", 7.9, "6901234500053", "snacks"),
    ("imported", "进口黑巧克力", 36.0, "036000291452", "snacks"),
    ("towel", "抽纸 24 包", 49.9, "6901234500060", "daily"),
    ("soap", "洗手液 500ml", 15.9, "6901234500077", "daily"),
)
for key, name, price, barcode, category in PRODUCTS:
    record(
        f"product_{key}",
        "product.product",
        {
            "name": name,
            "list_price": price,
            "barcode": barcode,
            "available_in_pos": True,
            "type": "consu",
            "taxes_id": [Command.set(tax.ids)],
            "pos_categ_ids": [Command.set(categories[category].ids)],
            "company_id": company.id,
        },
    )
cash_journals = [
    record(
        f"cash_journal_{number}",
        "account.journal",
        {
            "name": f"现金 {number} 号机",
            "type": "cash",
            "code": f"TIL{number}",
            "company_id": company.id,
        },
    )
    for number in (1, 2)
]
bank = env["account.journal"].search(
    [("type", "=", "bank"), ("company_id", "=", company.id)], limit=1
)
methods = record(
    "card_method",
    "pos.payment.method",
    {"name": "银行卡", "journal_id": bank.id, "company_id": company.id},
)
if "wechat.merchant" in env and "journal_id" in env["wechat.merchant"]._fields:
    methods += wechat_pay()
configs = []
for number, journal in enumerate(cash_journals, 1):
    cash = record(
        f"cash_method_{number}",
        "pos.payment.method",
        {"name": "现金", "journal_id": journal.id, "company_id": company.id},
    )
    configs.append(
        record(
            f"till_{number}",
            "pos.config",
            {
                "name": f"微光便利店 {number} 号机",
                "company_id": company.id,
                "payment_method_ids": [Command.set((cash + methods).ids)],
                "limit_categories": True,
                "iface_available_categ_ids": [
                    Command.set([category.id for category in categories.values()])
                ],
                "cash_control": False,
            },
        )
    )


def user(login, name, groups):
    """A person of the shop; the password of this training shop is the login."""
    return record(
        f"user_{login}",
        "res.users",
        {
            "login": login,
            "password": login,
            "name": name,
            "lang": SETTINGS.get("lang", "zh_CN"),
            "tz": "Asia/Shanghai",
            "company_id": company.id,
            "company_ids": [Command.set(company.ids)],
            "group_ids": [
                Command.set(
                    [
                        found.id
                        for xmlid in groups
                        if (found := env.ref(xmlid, raise_if_not_found=False))
                    ]
                )
            ],
        },
    )


user("cashier", "王小美", ("base.group_user", "point_of_sale.group_pos_user"))
user(
    "marketer",
    "李文",
    (
        "base.group_user",
        "wechat_base.wechat_group_manager",
        "wechat_coupon.coupon_group_manager",
    ),
)
user(
    "accountant",
    "陈会计",
    (
        "base.group_user",
        "account.group_account_user",
        "wechat_base.wechat_group_auditor",
        "wechat_coupon.coupon_group_auditor",
        "wechat_pay.pay_group_manager",
    ),
)

env["ir.config_parameter"].set_param("web.base.url", "http://127.0.0.1")
env["ir.config_parameter"].set_param("web.base.url.freeze", "True")
if "wechat.account" in env:
    wechat_account()
env.cr.commit()
print("shop ready", company.id, [config.id for config in configs])
