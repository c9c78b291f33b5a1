from . import test_bill_parser
