"""Cards that exist at WeChat: their texts, stock, codes, links and figures.

Contracts 2.1 to 2.6; https://developers.weixin.qq.com/doc/service/guide/product/card/
"""

from datetime import timedelta

from odoo import api, fields, models

from odoo.addons.wechat_base.tools.exceptions import WechatRefused

from .. import const

# What `card/update` takes (contracts 2.3, 2.10), by field of the template.
_UPDATABLE = {
    "can_give_friend": "can_give_friend",
    "can_share": "can_share",
    "code_type": "code_type",
    "color": "color",
    "description": "description",
    "get_limit": "get_limit",
    "logo_url": "logo_url",
    "notice": "notice",
    "service_phone": "service_phone",
}


class CouponChannelCard(models.AbstractModel):
    _inherit = "coupon.channel.card"

    _updatable = frozenset(_UPDATABLE) | {"logo", "stock"}

    # === TEXTS AND STOCK === #

    def _update(self, template, number):
        """Override of ``coupon.channel``: `card/update` with all that may change."""
        client = template.account_id._get_client()
        logo_url = template.logo_url
        if template.logo_changed:
            with self._reading("the logo"):
                logo_url = self._upload_logo(client, template)
        base = {
            name: template[field]
            for field, name in _UPDATABLE.items()
            if template[field] or isinstance(template[field], bool)
        }
        base["service_phone"] = template.service_phone or ""
        base["logo_url"] = logo_url
        answer = client.card.update(
            {
                "card_id": template.remote_id,
                template.remote_type.lower(): {"base_info": base},
            }
        )
        values = {"logo_url": logo_url, "logo_changed": False}
        if isinstance(answer, dict) and answer.get("send_check"):
            values["remote_status"] = "CARD_STATUS_NOT_VERIFY"
        return values

    def _is_updated(self, template):
        """Override of ``coupon.channel``: `card/get` shows what the template says."""
        if template.logo_changed:
            # Only WeChat's address tells which picture it is.
            return False
        client = template.account_id._get_client()
        card = self._get_card(client, template.remote_id)
        with self._reading(f"card {template.remote_id}"):
            base = card[card["card_type"].lower()]["base_info"]
            shown = {**self._texts(card), "code_type": base.get("code_type")}
            return all(
                (shown[name] or False) == (template[name] or False)
                for name in _UPDATABLE
            )

    def _change_stock(self, template, number):
        """Override of ``coupon.channel``: `card/modifystock`.

        It has no number: what WeChat has in all is read first, so that a change
        whose answer was lost is not made twice.
        """
        client = template.account_id._get_client()
        total, left = self._stock(client, template)
        wanted = self._stock_wanted(client, template)
        change = wanted - total
        if left + change < 0:
            raise WechatRefused(
                self.env._(
                    "%(handed)s coupons have been handed out already; the stock "
                    "cannot be less.",
                    handed=total - left,
                )
            )
        if change:
            client.card.modify_stock(template.remote_id, change)
        return {"stock": wanted, "remote_stock": left + change}

    def _is_stock_changed(self, template):
        """Override of ``coupon.channel``."""
        client = template.account_id._get_client()
        total, left = self._stock(client, template)
        if total != self._stock_wanted(client, template):
            return False
        return "done", {"result": {"stock": total, "remote_stock": left}}

    def _stock(self, client, template):
        """Return how many pieces WeChat has in all, and how many are left."""
        card = self._get_card(client, template.remote_id)
        with self._reading(f"card {template.remote_id}"):
            sku = card[card["card_type"].lower()]["base_info"]["sku"]
            return int(sku["total_quantity"]), int(sku["quantity"])

    def _stock_wanted(self, client, template):
        if not template.own_codes:
            return template.stock
        with self._reading("the number of codes"):
            return int(client.card.get_deposit_count(template.remote_id)["count"])

    # === CODES === #

    def _deposit_codes(self, template, codes, number):
        """Override of ``coupon.channel``: `card/code/deposit`, 100 at most."""
        client = template.account_id._get_client()
        answer = client.card.deposit_code(template.remote_id, codes)
        with self._reading("the codes"):
            failed = answer.get("fail_code") or []
            if failed:
                raise WechatRefused(
                    self.env._(
                        "WeChat does not take %(count)s of these codes: %(codes)s",
                        count=len(failed),
                        codes=", ".join(map(str, failed[:5])),
                    )
                )

    def _are_deposited(self, template, codes):
        """Override of ``coupon.channel``: `card/code/checkcode`."""
        client = template.account_id._get_client()
        answer = client.card.check_code(template.remote_id, codes)
        with self._reading("the codes"):
            return not answer["not_exist_code"]

    # === LINKS === #

    def _claim_url(self, template):
        """Override of ``coupon.channel``: `card/qrcode/create`, good for a year.

        It changes nothing but that there is one link more.
        """
        kept = template._claim_url_kept()
        if kept or template.state not in ("review", "live"):
            return kept
        client = template.account_id._get_client()
        with self._reading("the link"):
            answer = client.card.create_qrcode(
                {
                    "action_name": "QR_CARD",
                    "action_info": {
                        "card": {
                            "card_id": template.remote_id,
                            "outer_str": f"odoo-{template.id}",
                        }
                    },
                }
            )
            url = answer["url"]
            if not isinstance(url, str) or not url.startswith("http"):
                raise ValueError("no address")
        template._write_guarded(
            {
                "claim_url": url,
                "claim_url_until": fields.Datetime.now()
                + timedelta(days=const.CARD_QR_DAYS),
            }
        )
        return url

    @api.model
    def _landing_page(self, account, title, banner_url, templates):
        """Return the address of a page of WeChat that offers several coupons.

        :param str banner_url: of a picture that WeChat has given out
        """
        client = account._get_client()
        with self._reading("the page"):
            answer = client.card.create_landingpage(
                {
                    "banner": banner_url,
                    "page_title": title,
                    "can_share": True,
                    "scene": "SCENE_QRCODE",
                    "card_list": [
                        {"card_id": one.remote_id, "thumb_url": one.logo_url or ""}
                        for one in templates
                    ],
                }
            )
            return answer["url"]

    @api.model
    def _set_testers(self, account, openids, names):
        """Let some people receive cards that are still in review.

        :return: how many they are now; those before are replaced
        """
        client = account._get_client()
        with self._reading("the list of testers"):
            answer = client.card.set_test_whitelist(openids, names)
            return int((answer or {}).get("white_list_size") or len(openids + names))

    # === FIGURES === #

    @api.model
    def _fetch_stats(self, account, begin, end):
        """Return WeChat's figures by day and card.

        :param date begin: first day
        :param date end: last day; 62 days at most, and not today (contracts 2.1)
        :rtype: list[dict]
        """
        rows = account._get_client().datacube.get_card_info(begin, end)
        with self._reading("the figures"):
            if not all(isinstance(row, dict) for row in rows):
                raise ValueError("no figures")
            return rows
