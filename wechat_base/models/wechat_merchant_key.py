from cryptography import x509

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..tools import pay_crypto


class WechatMerchantKey(models.Model):
    """A key that WeChat Pay signs with: platform certificate or public key."""

    _name = "wechat.merchant.key"
    _description = "WeChat Pay Platform Key"
    _order = "valid_to desc, id desc"
    _rec_name = "serial"

    merchant_id = fields.Many2one("wechat.merchant", required=True, ondelete="cascade")
    company_id = fields.Many2one(
        related="merchant_id.company_id", store=True, index=True
    )
    kind = fields.Selection(
        [("certificate", "Platform certificate"), ("public_key", "Public key")],
        required=True,
        default="public_key",
    )
    serial = fields.Char(
        string="Serial number or ID",
        required=True,
        help="Of a certificate its serial number; of a public key its ID, which "
        "begins with PUB_KEY_ID_.",
    )
    pem = fields.Text(string="PEM", required=True)
    valid_from = fields.Datetime(compute="_compute_validity", store=True)
    valid_to = fields.Datetime(compute="_compute_validity", store=True)

    _serial_uniq = models.Constraint(
        "UNIQUE(merchant_id, serial)", "This key is already known."
    )

    @api.depends("kind", "pem")
    def _compute_validity(self):
        for key in self:
            key.valid_from = key.valid_to = False
            if key.kind != "certificate":
                continue
            try:
                certificate = x509.load_pem_x509_certificate((key.pem or "").encode())
            except ValueError:
                continue
            key.valid_from = pay_crypto.certificate_start(certificate)
            key.valid_to = pay_crypto.certificate_end(certificate)

    @api.constrains("kind", "serial", "pem")
    def _check_pem(self):
        for key in self:
            try:
                pay_crypto.load_public_key(key.pem)
            except ValueError:
                raise ValidationError(
                    self.env._(
                        "Paste the whole text of the key, from -----BEGIN to END-----."
                    )
                ) from None
            is_id = key.serial.startswith("PUB_KEY_ID_")
            if is_id != (key.kind == "public_key"):
                raise ValidationError(
                    self.env._(
                        "The ID of a public key begins with PUB_KEY_ID_, the serial "
                        "number of a certificate does not."
                    )
                )
