from . import test_codepay
from . import test_native
from . import test_refund
from . import test_bill_parser
from . import test_bill
