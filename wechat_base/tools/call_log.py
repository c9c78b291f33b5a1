"""What browsers send is in no log, where it is as good as money.

At level DEBUG Odoo writes every call with its arguments.
"""

import logging
import re


class _KeepOut(logging.Filter):
    def __init__(self, method, pattern):
        super().__init__()
        self._method, self._pattern = method, re.compile(pattern)

    def filter(self, record):
        message = record.getMessage()
        # What looks like it in other calls is theirs.
        if self._method in message and self._pattern.search(message):
            record.msg, record.args = self._pattern.sub("***", message), ()
        return True


def keep_out(method, pattern):
    """Mask parts of the arguments of a method that browsers call.

    :param str method: name of the method
    :param str pattern: regular expression of what no log may have
    """
    logging.getLogger("odoo.service.model").addFilter(_KeepOut(method, pattern))
