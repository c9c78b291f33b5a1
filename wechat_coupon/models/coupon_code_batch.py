import io
from functools import partial
from itertools import islice

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..tools import code_file, codes
from .coupon_job_mixin import JobOvertaken

MAX_CODES = 1_000_000
# Codes of one step. It takes well under a second, and no till waits for it.
CHUNK = 5000
# Rows of a file that cannot be taken; with more, it is the file that is wrong.
MAX_PROBLEMS = 10_000
# What is made at once is not left to a job.
AT_ONCE = 1000


class CouponCodeBatch(models.Model):
    """An order for many codes: generated, or imported from a file."""

    _name = "coupon.code.batch"
    _description = "Coupon Codes"
    _inherit = "coupon.job.mixin"
    _order = "id desc"
    _check_company_auto = True

    name = fields.Char(compute="_compute_name", store=True)
    template_id = fields.Many2one(
        "coupon.template",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
        domain="[('channel', '=', 'local'), ('state', '=', 'live'), "
        "('company_id', '=', company_id)]",
    )
    kind = fields.Selection(
        selection=[("generate", "Generate"), ("import", "Import")],
        required=True,
        default="generate",
    )
    quantity = fields.Integer(default=1000)
    file = fields.Binary(attachment=True, copy=False)
    file_name = fields.Char(copy=False)
    position = fields.Integer(
        readonly=True, copy=False, help="Rows of the file that are worked off."
    )
    made_count = fields.Integer(string="New", readonly=True, copy=False)
    known_count = fields.Integer(string="Already There", readonly=True, copy=False)
    problem_count = fields.Integer(string="Not Taken", readonly=True, copy=False)
    problem_ids = fields.One2many("coupon.code.problem", "batch_id", readonly=True)

    _quantity_limit = models.Constraint(
        f"CHECK (kind != 'generate' OR quantity BETWEEN 1 AND {MAX_CODES})",
        "One order makes from 1 to 1,000,000 codes.",
    )

    @api.depends("template_id", "kind", "file_name")
    def _compute_name(self):
        for batch in self:
            batch.name = (
                batch.file_name if batch.kind == "import" else batch.template_id.name
            )

    @api.model
    def _job_guarded(self):
        return super()._job_guarded() | {
            "made_count",
            "known_count",
            "position",
            "problem_count",
            "problem_ids",
        }

    @api.onchange("template_id")
    def _onchange_template_id(self):
        if self.template_id:
            self.company_id = self.template_id.company_id

    @api.model_create_multi
    def create(self, vals_list):
        batches = super().create(vals_list)
        for batch in batches:
            # Nobody makes codes for a company that is not theirs.
            if batch.company_id != batch.template_id.company_id:
                batch.company_id = batch.template_id.company_id
        batches.check_access("write")
        return batches

    # === ACTION METHODS === #

    def action_view_coupons(self):
        """Open the coupons of this order."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_coupon.loyalty_card_action"
        )
        return {**action, "domain": [("coupon_batch_id", "=", self.id)]}

    def action_file_template(self):
        """Download an empty file with the columns of an import."""
        return self._open("/wechat_coupon/codes/template.xlsx")

    def action_problems(self):
        """Download the rows that were not taken."""
        self.ensure_one()
        return self._open(f"/wechat_coupon/codes/{self.id}/problems.csv")

    def action_export_csv(self):
        """Download the codes for a printer, as CSV."""
        self.ensure_one()
        return self._open(f"/wechat_coupon/codes/{self.id}/codes.csv")

    def action_export_xlsx(self):
        """Download the codes for a printer, as XLSX."""
        self.ensure_one()
        return self._open(f"/wechat_coupon/codes/{self.id}/codes.xlsx")

    def _open(self, url):
        return {"type": "ir.actions.act_url", "url": url, "target": "download"}

    # === THE JOB === #

    def _job_check(self):
        """Override of ``coupon.job.mixin``."""
        self.ensure_one()
        template = self.template_id
        template._check_codes()
        left = template.stock_left
        if (
            self.kind == "generate"
            and template.stock
            and self.quantity - self.done > left
        ):
            raise UserError(
                self.env._(
                    "Only %(left)s of “%(template)s” are left. Raise the number of "
                    "pieces on the template to hand out more.",
                    left=left,
                    template=template.name,
                )
            )
        if self.kind == "import":
            if not self.file:
                raise UserError(self.env._("Choose the file first."))
            self._look_at_file()

    def _look_at_file(self):
        """Refuse a file whose beginning shows already that it is none of ours."""
        _position, _total, name, source = self._place()
        try:
            with _open_file(source) as stream:
                list(islice(code_file.read_rows(stream, name), 100))
        except code_file.CodeFileError as error:
            raise self._explain(error) from None

    def _job_begin(self):
        """Override of ``coupon.job.mixin``."""
        if self.kind == "generate":
            self._write_job({"count": self.quantity})

    def _job_where(self):
        """Override of ``coupon.job.mixin``: the place in the file of an import."""
        return self._place() if self.kind == "import" else None

    def _job_steps(self, where):
        """Override of ``coupon.job.mixin``."""
        if where:
            yield from self._import_steps(*where)
        while True:
            yield CouponCodeBatch._generate_chunk

    def _check_going_on(self):
        """Stop when the template has been stopped meanwhile."""
        self.template_id._check_codes()

    def _generate_chunk(self):
        """Make the next codes.

        :return: whether these were the last
        """
        self._check_going_on()
        size = min(CHUNK, self.quantity - self.done)
        begin, end = self.template_id._validity()
        terms = {"wechat_valid_from": begin, "wechat_valid_to": end}
        rows = [{"code": codes.new_code(), **terms} for _number in range(size)]
        # One that was taken already is made with the next step.
        made = len(self._insert(rows))
        self._write_job(
            {"done": self.done + made, "made_count": self.made_count + made}
        )
        return self.done >= self.quantity

    def _insert(self, rows):
        # sudo: the ledger's own way to make coupons.
        cards_sudo = self.env["loyalty.card"].sudo()
        # The counter begins with the coupons that exist: before there are more.
        self.template_id._take_stock(0)
        made = cards_sudo._wechat_insert(self.template_id, rows, batch=self)
        if made:
            # What is refused here undoes the step: nothing is handed out beyond it.
            self.template_id._take_stock(len(made))
        return made

    # === THE FILE === #

    def _place(self):
        """Return how far the file is worked off, and where it is.

        :return: rows that are done, rows of the file (0 if not counted yet), its
            name, its path or its content if it lies in the database
        :rtype: tuple[int, int, str, str | bytes]
        """
        attachment = self._attachment()
        if attachment.store_fname:
            source = attachment._full_path(attachment.store_fname)
        else:
            source = attachment.raw or b""
        return self.position, self.count, self.file_name or "", source

    def _attachment(self):
        # sudo: files of a field belong to its record, which was checked.
        return (
            self.env["ir.attachment"]
            .sudo()
            .search(
                [
                    ("res_model", "=", self._name),
                    ("res_field", "=", "file"),
                    ("res_id", "=", self.id),
                ],
                limit=1,
            )
        )

    def _import_steps(self, position, total, name, source):
        """Yield a function for each chunk of the file that is not worked off yet.

        The parameters are what :meth:`_place` returns.
        """
        try:
            with _open_file(source) as stream:
                if not total:
                    total = sum(1 for _row in code_file.read_rows(stream, name))
                rows = code_file.read_rows(stream, name)
                rows = islice(rows, position, None)
                while True:
                    chunk = list(islice(rows, CHUNK))
                    yield partial(
                        CouponCodeBatch._import_chunk,
                        rows=chunk,
                        total=total,
                        start=position,
                    )
                    position += len(chunk)
        except code_file.CodeFileError as error:
            raise self._explain(error) from None

    def _import_chunk(self, rows, total, start):
        """Take the next rows of the file.

        :param list rows: of the file
        :param int total: rows of the whole file
        :param int start: how many rows stand before these
        :return: whether these were the last
        """
        if self.position != start:
            # Another job has taken them meanwhile; it goes on where that one is.
            raise JobOvertaken()
        if self.position + len(rows) > total:
            raise UserError(self.env._("The file has changed. Import it anew."))
        self._check_going_on()
        bad = [row for row in rows if row.problem]
        good = [row for row in rows if not row.problem]
        partner_ids = self._find_customers(good)
        bad += [row for row in good if row.problem]
        good = [row for row in good if not row.problem]
        made, known, taken = self._take(good, partner_ids)
        bad += taken
        bad.sort(key=lambda row: row.line)
        self.env["coupon.code.problem"]._add(
            self, bad[: max(MAX_PROBLEMS - self.problem_count, 0)]
        )
        position = self.position + len(rows)
        self._write_job(
            {
                "count": total,
                "done": position,
                "position": position,
                "made_count": self.made_count + made,
                "known_count": self.known_count + known,
                "problem_count": self.problem_count + len(bad),
            }
        )
        if self.problem_count > MAX_PROBLEMS:
            self._job_failed(
                self.env._(
                    "More than %(most)s rows could not be taken. Is it the right file?",
                    most=MAX_PROBLEMS,
                )
            )
            return False
        return position >= total

    def _find_customers(self, rows):
        """Find the customers of rows; rows without one get a problem.

        :return: ids of customers by what the rows say
        :rtype: dict[str, int]
        """
        contacts = {row.customer for row in rows if row.customer}
        found = self.env["res.partner"]._wechat_by_contact(contacts, self.company_id)
        for row in rows:
            partner_ids = found.get(row.customer, [])
            if row.customer and len(partner_ids) != 1:
                row.problem = "customers" if partner_ids else "customer"
                row.value = row.customer[:60]
        return {contact: ids[0] for contact, ids in found.items()}

    def _take(self, rows, partner_ids):
        """Make the coupons of rows that are all right.

        :return: how many are new, how many were there, the rows whose code is
            something else's
        """
        template = self.template_id
        begin, end = template._validity()
        made = self._insert(
            [
                {
                    "code": row.code,
                    "partner_id": partner_ids.get(row.customer),
                    "wechat_valid_from": template._begin_of_day(row.valid_from)
                    if row.valid_from
                    else begin,
                    "wechat_valid_to": template._end_of_day(row.valid_to)
                    if row.valid_to
                    else end,
                }
                for row in rows
            ]
        )
        if len(made) == len(rows):
            return len(made), 0, []
        return self._compare(made, rows)

    def _compare(self, made, rows):
        """Find out what has the codes that could not be made."""
        self.env.cr.execute(
            SQL(
                """
                SELECT code FROM loyalty_card
                 WHERE code = ANY(%s) AND coupon_template_id = %s
                """,
                [row.code for row in rows],
                self.template_id.id,
            )
        )
        ours = {code for (code,) in self.env.cr.fetchall()}
        taken = [row for row in rows if row.code not in ours]
        for row in taken:
            row.problem, row.value = "taken", row.code
        return len(made), len(rows) - len(made) - len(taken), taken

    def _explain(self, error):
        """Say what is wrong with a file.

        :param error: :class:`~.tools.code_file.CodeFileError`
        :rtype: UserError
        """
        values = {"most": "", "column": "", "line": "", **error.values}
        sentences = {
            "empty": self.env._("The file is empty."),
            "no_rows": self.env._("The file has titles, but no codes below them."),
            "size": self.env._(
                "The file has more than %(most)s MB. Divide it.", **values
            ),
            "rows": self.env._(
                "The file has more than %(most)s rows. Divide it.", **values
            ),
            "kind": self.env._("This is no CSV or XLSX file. Save it as one of them."),
            "xlsx": self.env._(
                "This XLSX file is damaged. Save it again with Excel or WPS."
            ),
            "bomb": self.env._("This file unpacks to far more than a list of codes."),
            "encoding": self.env._(
                "The text can't be read. Save the file as CSV UTF-8."
            ),
            "csv": self.env._("Line %(line)s is no row of a CSV file.", **values),
            "no_code": self.env._("The first row has no title “code” (券码)."),
            "column": self.env._(
                "“%(column)s” is no column of ours, or there twice. Download the "
                "empty file and use its columns.",
                **values,
            ),
        }
        return UserError(sentences[error.reason])


def _open_file(source):
    """Return a file as a stream: from disk, or its content."""
    return io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")
