from odoo import api, fields, models


class CouponCodeProblem(models.Model):
    """One row of an imported file that could not be taken."""

    _name = "coupon.code.problem"
    _description = "Row Not Taken"
    _order = "line, id"
    _log_access = False

    batch_id = fields.Many2one(
        "coupon.code.batch",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(related="batch_id.company_id")
    line = fields.Integer(readonly=True)
    problem = fields.Selection(
        selection=[
            ("missing", "The code is missing."),
            (
                "code",
                "A code has 6 to 64 letters and digits, and begins with one of them.",
            ),
            (
                "number",
                "The spreadsheet has rounded this number. Format the column as text.",
            ),
            (
                "eaten",
                "Scanners lose “Alt”, “Shift” and “Control” in a code. Use another.",
            ),
            ("payment", "Tills would take this code for a payment."),
            ("taken", "Another coupon, card or program has this code."),
            ("customer", "No customer has this phone number or e-mail address."),
            ("customers", "More than one customer has it. Merge or correct them."),
            ("date", "Write the date as 2026-12-31."),
            ("backwards", "It ends before it begins."),
            ("extra", "There is something in a column without a title."),
            ("long", "The text is too long."),
            ("formula", "Formulas are not calculated. Enter the value."),
            ("text", "The text has characters that cannot be stored."),
        ],
        string="What Is Wrong",
        required=True,
        readonly=True,
    )
    value = fields.Char(string="Found", readonly=True)

    @api.model
    def _add(self, batch, rows):
        """Keep what is wrong with rows of a file.

        :param rows: list of :class:`~.tools.code_file.CodeRow`
        """
        return self.create(
            [
                {
                    "batch_id": batch.id,
                    "line": row.line,
                    "problem": row.problem,
                    "value": row.value,
                }
                for row in rows
            ]
        )
