from . import pay_api
