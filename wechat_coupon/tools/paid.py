"""What belongs to a paid order cannot stop it."""

import logging

from psycopg2 import OperationalError

_logger = logging.getLogger(__name__)


def without_stopping(env, what, step):
    """Call a function; undo and log what it did if it fails.

    The customer has paid: the order is saved, come what may.

    :param env: whose transaction it is
    :param str what: names the order in the log
    :param step: function without parameters
    :return: whether it went well
    :rtype: bool
    :raises OperationalError: a conflict with another transaction; Odoo runs the
        request again
    """
    try:
        with env.cr.savepoint():
            step()
    except OperationalError:
        raise
    except Exception:
        _logger.exception("Coupons of paid order %s", what)
        return False
    return True
