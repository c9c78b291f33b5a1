from . import cart
from . import codes
from . import ledger
