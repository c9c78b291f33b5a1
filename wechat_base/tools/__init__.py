from . import callback
from . import exceptions
from . import official_client
from . import pay_client
from . import pay_crypto
from . import secret_box
from . import text
from . import transport
