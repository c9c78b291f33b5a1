import base64
import io
import zipfile
from unittest.mock import patch

from openpyxl import DEFUSEDXML, Workbook, load_workbook

from odoo.exceptions import AccessError, UserError
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from ..models import coupon_code_batch
from ..tools import code_file
from .common import CouponCase


class CodesCase(CouponCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.batches = cls.env["coupon.code.batch"].with_user(cls.manager)

    def new_batch(self, **vals):
        return self.batches.create({"template_id": self.template.id, **vals})

    def new_import(self, content, name="codes.csv", **vals):
        if isinstance(content, str):
            content = content.encode()
        return self.new_batch(
            kind="import", file=base64.b64encode(content), file_name=name, **vals
        )

    def work_off(self, batch, steps=None):
        """Run the job, as long as it wants or for some steps."""
        self.env.flush_all()
        with self.enter_registry_test_mode():
            model = self.env["coupon.code.batch"].sudo()
            with patch.object(type(model), "_drain_batch", steps or 500):
                model._job_drain()
        batch.invalidate_recordset()

    def coupons(self, template=None):
        template = template or self.template
        return self.env["loyalty.card"].search(
            [("coupon_template_id", "=", template.id)]
        )

    def run_import(self, content, name="codes.csv"):
        batch = self.new_import(content, name)
        batch.action_start()
        self.work_off(batch)
        return batch


@tagged("post_install", "-at_install")
class TestGenerateCodes(CodesCase):
    def test_generate(self):
        batch = self.new_batch(quantity=25)
        batch.action_start()
        self.assertEqual((batch.state, batch.count, batch.done), ("running", 25, 0))
        with patch.object(coupon_code_batch, "CHUNK", 10):
            self.work_off(batch)
        self.assertEqual((batch.state, batch.made_count), ("done", 25))
        self.assertEqual(batch.progress, 100)
        cards = self.coupons()
        self.assertEqual(len(set(cards.mapped("code"))), 25)
        self.assertEqual(set(cards.mapped("points")), {1})
        self.assertEqual(cards.coupon_batch_id, batch.sudo())
        self.assertEqual(self.template.handed_out, 25)
        self.assertTrue(self.reserve("u1", cards[0])["ok"])

    def test_goes_on_after_a_break(self):
        """A job that ends early, or dies between steps, leaves the rest to do."""
        batch = self.new_batch(quantity=30)
        batch.action_start()
        with patch.object(coupon_code_batch, "CHUNK", 10):
            self.work_off(batch, steps=1)
            self.assertEqual((batch.state, batch.done), ("running", 10))
            self.work_off(batch)
        self.assertEqual((batch.state, len(self.coupons())), ("done", 30))

    @mute_logger("odoo.addons.wechat_coupon.models.coupon_job_mixin")
    def test_a_failed_step_leaves_nothing(self):
        batch = self.new_batch(quantity=20)
        batch.action_start()
        with patch.object(coupon_code_batch, "CHUNK", 10):
            self.work_off(batch, steps=1)
            self.template.action_pause()
            self.work_off(batch)
        self.assertEqual((batch.state, batch.done), ("failed", 10))
        self.assertIn("Publish", batch.error)
        self.assertEqual(len(self.coupons()), 10)
        self.template.action_resume()
        with self.enter_registry_test_mode():
            batch.action_resume()
        self.work_off(batch)
        self.assertEqual((batch.state, len(self.coupons())), ("done", 20))

    def test_cancel(self):
        batch = self.new_batch(quantity=20)
        batch.action_start()
        with self.enter_registry_test_mode():
            batch.action_cancel()
        self.work_off(batch)
        self.assertEqual((batch.state, len(self.coupons())), ("cancelled", 0))

    @mute_logger("odoo.addons.wechat_coupon.models.coupon_job_mixin")
    def test_stock(self):
        template = self.new_template(stock=15)
        with self.assertRaisesRegex(UserError, "15"):
            self.new_batch(template_id=template.id, quantity=16).action_start()
        batch = self.new_batch(template_id=template.id, quantity=15)
        batch.action_start()
        template._generate(1)
        self.work_off(batch)
        self.assertEqual((batch.state, batch.done), ("failed", 0))
        self.assertEqual(len(self.coupons(template)), 1)
        self.assertEqual(template.handed_out, 1)

    @mute_logger("odoo.addons.wechat_coupon.models.coupon_job_mixin")
    def test_only_what_the_template_allows(self):
        for vals in ({"attribute": "marketing"}, {"attribute": "care"}):
            template = self.new_template(**vals)
            with self.subTest(**vals), self.assertRaises(UserError):
                self.new_batch(template_id=template.id, quantity=1).action_start()
        draft = self.new_template(publish=False)
        with self.assertRaises(UserError):
            self.new_batch(template_id=draft.id, quantity=1).action_start()

    def test_rights(self):
        batch = self.new_batch(quantity=5)
        with self.assertRaises(AccessError):
            batch.with_user(self.cashier).read(["name"])
        with self.assertRaises(AccessError):
            batch.with_user(self.auditor).action_start()
        batch.with_user(self.auditor).read(["name"])
        for vals in ({"state": "done"}, {"done": 5}, {"made_count": 5}):
            with self.subTest(**vals), self.assertRaises(AccessError):
                batch.write(vals)
            with self.subTest(**vals), self.assertRaises(AccessError):
                self.new_batch(**vals)
        batch.action_start()
        with self.assertRaises(UserError):
            batch.quantity = 6
        with self.assertRaises(UserError):
            batch.unlink()

    def test_companies(self):
        other = self.new_company("Other Shop CN")
        stranger = self.new_user(
            "coupon_stranger", "wechat_coupon.coupon_group_manager", company=other
        )
        batch = self.new_batch(quantity=5)
        with self.assertRaises(AccessError):
            batch.with_user(stranger).read(["name"])
        with self.assertRaises(AccessError):
            self.batches.with_user(stranger).create(
                {"template_id": self.template.id, "company_id": other.id}
            )


@tagged("post_install", "-at_install")
class TestImportCodes(CodesCase):
    def problems(self, batch):
        return [(row.line, row.problem) for row in batch.problem_ids]

    def test_two_jobs_at_once(self):
        """Whichever is faster: each row of the file is taken once."""
        rows = "\n".join(f"TWICE-{number:03}" for number in range(12))
        batch = self.new_import(f"code\n{rows}\n")
        batch.action_start()
        self.env.flush_all()
        with (
            self.enter_registry_test_mode(),
            patch.object(coupon_code_batch, "CHUNK", 3),
        ):
            jobs = [batch.sudo()._job_run(iter(range(99))) for _job in range(2)]
            for _turn in range(8):
                for job in jobs:
                    next(job, None)
        self.work_off(batch)
        self.assertEqual((batch.state, batch.made_count), ("done", 12))
        self.assertEqual((batch.known_count, len(self.coupons())), (0, 12))

    def test_import_twice(self):
        content = "code\nSPRING-001\nSPRING-002\n"
        first = self.run_import(content)
        self.assertEqual((first.state, first.made_count), ("done", 2))
        second = self.run_import(content + "SPRING-003\n")
        self.assertEqual((second.made_count, second.known_count), (1, 2))
        self.assertEqual(
            sorted(self.coupons().mapped("code")),
            ["SPRING-001", "SPRING-002", "SPRING-003"],
        )
        self.assertEqual(self.template.handed_out, 3)

    def test_same_code_twice_in_a_file(self):
        batch = self.run_import("code\nSPRING-001\nSPRING-001\n")
        self.assertEqual((batch.made_count, batch.known_count), (1, 1))

    def test_bad_rows(self):
        other = self.new_template(name="Other")
        taken = other._generate(1).code
        batch = self.run_import(
            "code,valid from,valid to\n"
            "GOOD-0001,2026-01-01,2099-12-31\n"
            ",2026-01-01,\n"
            "AB,,\n"
            "XAlt000001,,\n"
            "134567890123456789,,\n"
            "=1+1,,\n"
            f"{taken},,\n"
            "GOOD-0002,yesterday,\n"
            "GOOD-0003,2026-02-02,2026-01-01\n"
            f"{'A' * 201},,\n"
        )
        self.assertEqual(
            self.problems(batch),
            [
                (3, "missing"),
                (4, "code"),
                (5, "eaten"),
                (6, "payment"),
                (7, "formula"),
                (8, "taken"),
                (9, "date"),
                (10, "backwards"),
                (11, "long"),
            ],
        )
        self.assertEqual((batch.state, batch.made_count), ("done", 1))
        self.assertEqual(batch.problem_count, 9)
        self.assertEqual(self.coupons().code, "GOOD-0001")

    def test_customers(self):
        self.customer.phone = "+86 138 0013 8000"
        twin = {"name": "Twin", "email": "twin@example.com"}
        self.env["res.partner"].create([twin, twin])
        batch = self.run_import(
            "code,customer\n"
            "GOOD-0001,13800138000\n"
            "GOOD-0002,nobody@example.com\n"
            "GOOD-0003,TWIN@example.com\n"
        )
        self.assertEqual(self.problems(batch), [(3, "customer"), (4, "customers")])
        self.assertEqual(self.coupons().partner_id, self.customer)

    def test_goes_on_after_a_break(self):
        rows = "".join(f"BREAK-{number:03}\n" for number in range(25))
        batch = self.new_import("code\n" + rows)
        batch.action_start()
        with patch.object(coupon_code_batch, "CHUNK", 10):
            self.work_off(batch, steps=1)
            self.assertEqual((batch.position, batch.state), (10, "running"))
            self.work_off(batch)
        self.assertEqual((batch.state, batch.made_count), ("done", 25))
        self.assertEqual(batch.known_count, 0)

    def test_xlsx(self):
        book = Workbook()
        book.active.append(["券码", "生效日期"])
        book.active.append(["SHEET-0001", "2026-01-01"])
        book.active.append([123456789, None])
        book.active.append([1234567890123456789, None])
        file = io.BytesIO()
        book.save(file)
        batch = self.run_import(file.getvalue(), "codes.xlsx")
        self.assertEqual(self.problems(batch), [(4, "number")])
        codes = sorted(self.coupons().mapped("code"))
        self.assertEqual(codes, ["123456789", "SHEET-0001"])

    def test_files_that_are_refused(self):
        cases = {
            "no title": (b"nothing\nABCDEF\n", "a.csv"),
            "unknown column": (b"code,price\nABCDEF,1\n", "a.csv"),
            "only titles": (b"code\n", "a.csv"),
            "no spreadsheet": (b"code\nABCDEF\n", "a.xlsx"),
            "damaged": (b"PK\x03\x04 and no more", "a.xlsx"),
            "binary": (b"code\n\0\0\0\n", "a.csv"),
        }
        for label, (content, name) in cases.items():
            with self.subTest(label), self.assertRaises(UserError):
                self.new_import(content, name).action_start()
        with self.assertRaises(UserError):
            self.new_batch(kind="import").action_start()

    def test_limits(self):
        with (
            patch.object(code_file, "MAX_BYTES", 10),
            self.assertRaisesRegex(UserError, "MB"),
        ):
            self.new_import("code\nGOOD-0001\n").action_start()
        with patch.object(code_file, "MAX_ROWS", 1):
            with self.assertRaisesRegex(UserError, "rows"):
                self.new_import("code\nGOOD-0001\nGOOD-0002\n").action_start()
        with self.assertRaises(UserError):
            self.new_import("code\n" + "A" * 10_000 + "\n").action_start()

    def test_bombs(self):
        self.assertTrue(DEFUSEDXML, "openpyxl must parse with defusedxml")
        book = Workbook()
        book.active.append(["code"])
        book.active.append(["SHEET-0001"])
        plain = io.BytesIO()
        book.save(plain)
        entity = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]>'
        for part in ("xl/worksheets/sheet1.xml", "xl/workbook.xml"):
            with self.subTest(part), self.assertRaises(UserError):
                content = self.changed(plain, part, lambda xml: entity + xml)
                self.new_import(content, "a.xlsx").action_start()
        with self.assertRaisesRegex(UserError, "unpacks"):
            content = self.changed(
                plain, "xl/styles.xml", lambda xml: xml + b" " * (20 * 2**20)
            )
            self.new_import(content, "a.xlsx").action_start()

    def changed(self, file, part, change):
        """Return a workbook of which one part is changed."""
        result = io.BytesIO()
        with (
            zipfile.ZipFile(file) as source,
            zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as target,
        ):
            self.assertIn(part, source.namelist())
            for name in source.namelist():
                content = source.read(name)
                target.writestr(name, change(content) if name == part else content)
        return result.getvalue()


@tagged("post_install", "-at_install")
class TestLateOrder(CodesCase):
    """Orders that are given while the job is at work already.

    Its transaction began before them, so nothing of them is to be seen there.
    """

    def run_late(self, batch):
        self.env.flush_all()
        with self.enter_registry_test_mode():
            with self.registry.cursor() as cr:
                job = batch.with_env(self.env(cr=cr, su=True, context={}))
            # The cursor is closed: whatever is read in the job's own view fails.
            for _step in job._job_run(iter(range(99))):
                pass
        batch.invalidate_recordset()

    def test_import(self):
        batch = self.new_import("code\nLATE-0001\nLATE-0002\n")
        batch.action_start()
        self.run_late(batch)
        self.assertEqual((batch.state, batch.error), ("done", False))
        self.assertEqual(batch.made_count, 2)

    def test_generate(self):
        batch = self.new_batch(quantity=5)
        batch.action_start()
        self.run_late(batch)
        self.assertEqual((batch.state, batch.made_count), ("done", 5))


@tagged("post_install", "-at_install")
class TestCodeFiles(CodesCase, HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for user in (cls.manager, cls.auditor, cls.cashier):
            user.password = f"{user.login}!{user.login}"

    def login(self, user):
        self.authenticate(user.login, f"{user.login}!{user.login}")

    def test_empty_file_can_be_imported(self):
        self.login(self.manager)
        answer = self.url_open("/wechat_coupon/codes/template.xlsx")
        self.assertEqual(answer.status_code, 200)
        book = load_workbook(io.BytesIO(answer.content))
        book.active.append(["FILLED-001"])
        file = io.BytesIO()
        book.save(file)
        batch = self.run_import(file.getvalue(), "codes.xlsx")
        self.assertEqual((batch.state, batch.made_count), ("done", 1))

    def test_problems_and_codes(self):
        batch = self.run_import("code\nGOOD-0001\n+BAD\n")
        self.login(self.manager)
        path = f"/wechat_coupon/codes/{batch.id}"
        text = self.url_open(f"{path}/problems.csv").content.decode("utf-8-sig")
        lines = text.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertTrue(lines[1].startswith("3,"))
        # A spreadsheet must not calculate what somebody wrote.
        self.assertTrue(lines[1].endswith(",'+BAD"))
        text = self.url_open(f"{path}/codes.csv").content.decode("utf-8-sig")
        self.assertEqual(text.splitlines()[1].split(",")[0], "GOOD-0001")
        answer = self.url_open(f"{path}/codes.xlsx")
        sheet = load_workbook(io.BytesIO(answer.content)).active
        self.assertEqual(sheet["A2"].value, "GOOD-0001")

    @mute_logger("odoo.http")
    def test_only_managers_get_codes(self):
        batch = self.run_import("code\nGOOD-0001\n")
        for user in (self.auditor, self.cashier):
            self.login(user)
            for path in (f"{batch.id}/codes.csv", f"{batch.id}/codes.xlsx"):
                with self.subTest(user=user.login, path=path):
                    answer = self.url_open(f"/wechat_coupon/codes/{path}")
                    self.assertEqual(answer.status_code, 403)
                    self.assertNotIn(b"GOOD-0001", answer.content)
