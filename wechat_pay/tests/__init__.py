from . import test_bill_parser
from . import test_bill
