from . import answers
from . import bill
from . import codepay_v2
from . import codes_log
from . import pay_api
from . import sentences
