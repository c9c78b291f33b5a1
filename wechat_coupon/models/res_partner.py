import re

from odoo import api, models

_NO_DIGIT = re.compile(r"\D+")
# Numbers of mainland China without the country's prefix.
_CHINA = re.compile(r"(?:00)?86(1\d{10})", re.ASCII)
_MIN_DIGITS = 7


class ResPartner(models.Model):
    _inherit = "res.partner"

    @api.model
    def _wechat_digits(self, phone):
        """Return a phone number as digits, without China's prefix, or ``""``."""
        digits = _NO_DIGIT.sub("", phone or "")
        if match := _CHINA.fullmatch(digits):
            return match[1]
        return digits if len(digits) >= _MIN_DIGITS else ""

    @api.model
    def _wechat_by_contact(self, contacts, company):
        """Find customers by phone number or e-mail address.

        :param contacts: texts, e.g. of an imported file
        :param company: ``res.company`` for which they are sought
        :return: ids of all who have it, by the text as given
        :rtype: dict[str, list[int]]
        """
        mails, phones = {}, {}
        for contact in contacts:
            if "@" in contact:
                mails.setdefault(contact.strip().lower(), []).append(contact)
            elif digits := self._wechat_digits(contact):
                phones.setdefault(digits, []).append(contact)
        found = {}
        rows = [
            *self._wechat_having("lower(trim(email))", mails, company),
            *self._wechat_having(
                r"regexp_replace(regexp_replace(phone, '\D+', '', 'g'), "
                r"'^(00)?86(1\d{10})$', '\2')",
                phones,
                company,
            ),
        ]
        for partner_id, value in rows:
            for contact in [*mails.get(value, ()), *phones.get(value, ())]:
                found.setdefault(contact, []).append(partner_id)
        return found

    @api.model
    def _wechat_having(self, expression, values, company):
        if not values:
            return []
        self.flush_model(["active", "company_id", "email", "phone"])
        # pylint: disable=sql-injection
        self.env.cr.execute(
            f"""
            SELECT id, {expression} FROM res_partner
             WHERE active AND {expression} = ANY(%s)
               AND (company_id IS NULL OR company_id = ANY(%s))
             ORDER BY id
            """,
            # sudo: a branch of the company need not be one of the user's.
            [list(values), company.sudo().parent_ids.ids],
        )
        return self.env.cr.fetchall()
