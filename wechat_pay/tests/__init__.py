from . import test_bill
from . import test_bill_parser
from . import test_codepay
from . import test_native
from . import test_payment_flow
from . import test_payment_provider
from . import test_payment_transaction
from . import test_refund
