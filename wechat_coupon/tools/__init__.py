from . import cart
from . import codes
from . import giveback
from . import ledger
from . import pin_log
