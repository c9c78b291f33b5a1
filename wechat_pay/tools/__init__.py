from . import answers
from . import bill
from . import codepay_v2
from . import pay_api
from . import sentences
