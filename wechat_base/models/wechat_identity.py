from odoo import api, fields, models


class WechatIdentity(models.Model):
    """What WeChat calls a person (openid), and who that is for us."""

    _name = "wechat.identity"
    _description = "WeChat Identity"
    _order = "last_seen desc, id desc"
    _rec_name = "openid"
    _check_company_auto = True

    account_id = fields.Many2one(
        "wechat.account", required=True, readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        related="account_id.company_id", store=True, index=True
    )
    openid = fields.Char(required=True, readonly=True)
    unionid = fields.Char(readonly=True, index="btree_not_null")
    partner_id = fields.Many2one(
        "res.partner",
        string="Contact",
        index="btree_not_null",
        ondelete="set null",
        check_company=True,
    )
    nickname = fields.Char()
    subscribed = fields.Boolean(readonly=True)
    subscribed_at = fields.Datetime(readonly=True)
    scene = fields.Char(
        string="Last scene", readonly=True, help="Of the QR code scanned last."
    )
    last_event_at = fields.Datetime(readonly=True)
    last_seen = fields.Datetime(readonly=True, index=True)

    _openid_uniq = models.Constraint(
        "UNIQUE(account_id, openid)", "One identity for each person and account."
    )

    @api.depends("openid", "nickname", "partner_id")
    def _compute_display_name(self):
        for identity in self:
            openid = identity.openid or ""
            identity.display_name = (
                identity.partner_id.display_name
                or identity.nickname
                or f"{openid[:4]}…{openid[-4:]}"
            )

    @api.model
    def _find_or_create(self, account, openid, **vals):
        """Return the identity of ``openid``, making it if it is new.

        One statement, so that two callbacks of the same person cannot make two
        rows or fail on each other.

        :param account: a ``wechat.account`` record
        :param str openid: WeChat's name of the person for this account
        :param vals: fields to write; ``None`` values are left alone
        :return: a ``wechat.identity`` record
        """
        vals = {name: value for name, value in vals.items() if value is not None}
        self.flush_model(["account_id", "openid", "last_seen"])
        self.env.cr.execute(
            """
            INSERT INTO wechat_identity (
                    account_id, company_id, openid, last_seen,
                    create_uid, create_date, write_uid, write_date)
                 VALUES (%(account)s, %(company)s, %(openid)s, %(now)s,
                         %(uid)s, %(now)s, %(uid)s, %(now)s)
            ON CONFLICT (account_id, openid) DO UPDATE
                    SET last_seen = greatest(
                            wechat_identity.last_seen, excluded.last_seen)
              RETURNING id
            """,
            {
                "account": account.id,
                "company": account.company_id.id,
                "openid": openid,
                "now": fields.Datetime.now(),
                "uid": self.env.uid,
            },
            # A conflict makes the request or the job run again.
            log_exceptions=False,
        )
        identity = self.browse(self.env.cr.fetchone()[0])
        identity.invalidate_recordset(["last_seen"])
        changed = {
            name: value for name, value in vals.items() if identity[name] != value
        }
        if changed:
            identity.write(changed)
        return identity
