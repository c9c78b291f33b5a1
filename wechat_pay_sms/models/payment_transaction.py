from odoo import models


class PaymentTransaction(models.Model):
    _inherit = "payment.transaction"

    def _wechat_send(self, outcome):
        """Override of `wechat_pay` to put an SMS into Odoo's queue as well.

        :param str outcome: ``done`` or ``failed``
        """
        result = super()._wechat_send(outcome)
        if self.provider_id[f"wechat_sms_{outcome}"]:
            self._wechat_send_sms(outcome)
        return result

    def _wechat_send_sms(self, outcome):
        template = self.env.ref(f"wechat_pay_sms.sms_template_{outcome}", False)
        number = self.partner_id._phone_format(
            number=self.partner_phone, country=self.partner_country_id
        )
        if not template or not number:
            return
        body = template._render_field("body", self.ids, compute_lang=True)[self.id]
        # sudo: whoever learns what became of the payment; Odoo's job sends it.
        self.env["sms.sms"].sudo().create(
            {"partner_id": self.partner_id.id, "number": number, "body": body}
        )
