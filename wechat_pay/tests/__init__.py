from . import test_codepay
from . import test_native
from . import test_refund
from . import test_payment_flow
from . import test_payment_provider
from . import test_payment_transaction
