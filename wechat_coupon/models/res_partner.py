import re
import unicodedata

from odoo import api, models
from odoo.tools import SQL

_NO_DIGIT = re.compile(r"[^0-9]+")
# Numbers of mainland China without the country's prefix.
_CHINA = re.compile(r"86(1[0-9]{10})")
_MIN_DIGITS = 7
# What :meth:`_wechat_digits` and lower case are in the database, for its indexes.
_COLUMNS = {
    "email": "lower(trim(email))",
    "phone": (
        "regexp_replace(regexp_replace(regexp_replace("
        "phone, '[^0-9]+', '', 'g'), '^00', ''), '^86(1[0-9]{10})$', '\\1')"
    ),
}


class ResPartner(models.Model):
    _inherit = "res.partner"

    _wechat_phone_idx = models.Index(f"(({_COLUMNS['phone']}))")
    _wechat_email_idx = models.Index(f"(({_COLUMNS['email']}))")

    @api.model
    def _wechat_digits(self, phone):
        """Return a phone number as digits, or ``""``.

        Without China's prefix; ``00`` and ``+`` before another country's are the same.
        """
        # Chinese keyboards have digits of their own.
        plain = unicodedata.normalize("NFKC", phone or "")
        digits = _NO_DIGIT.sub("", plain).removeprefix("00")
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
            *self._wechat_having("email", mails, company),
            *self._wechat_having("phone", phones, company),
        ]
        for partner_id, value in rows:
            for contact in [*mails.get(value, ()), *phones.get(value, ())]:
                found.setdefault(contact, []).append(partner_id)
        return found

    @api.model
    def _wechat_having(self, kind, values, company):
        if not values:
            return []
        self.flush_model(["active", "company_id", "email", "phone"])
        query = self._wechat_having_query(kind, values, company)
        return self.env.execute_query(query)

    @api.model
    def _wechat_having_query(self, kind, values, company):
        """Return the query for customers by phone number or e-mail address.

        :param str kind: ``email`` or ``phone``
        :rtype: SQL
        """
        # The indexes hold this very expression.
        return SQL(
            """
            SELECT id, %(expression)s FROM res_partner
             WHERE active AND %(expression)s = ANY(%(values)s)
               AND (company_id IS NULL OR company_id = ANY(%(companies)s))
             ORDER BY id
            """,
            expression=SQL(_COLUMNS[kind]),
            values=list(values),
            # sudo: a branch of the company need not be one of the user's.
            companies=company.sudo().parent_ids.ids,
        )

    def unlink(self):
        """Extended: a coupon that was still to be made for a contact is not made."""
        self.check_access("unlink")
        self.env.cr.execute(
            "DELETE FROM coupon_issue WHERE partner_id = ANY(%s) AND issued_at IS NULL",
            [self.ids],
        )
        self.env["coupon.issue"].invalidate_model()
        return super().unlink()
