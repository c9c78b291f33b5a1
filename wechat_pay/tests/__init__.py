from . import test_codepay
from . import test_native
from . import test_pos_tours
from . import test_refund
