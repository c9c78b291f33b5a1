from . import bill
from . import pay_api
