from . import cart
from . import codes
from . import columns
from . import ledger
from . import money
