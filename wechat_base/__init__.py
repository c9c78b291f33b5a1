from . import controllers
from . import models
from . import tools
from . import wizard


def uninstall_hook(env):
    """Leave nothing behind that a later installation would stumble over.

    The text that says which key the secrets are encrypted with goes with the secrets:
    a server with another key could not take a single one otherwise. And no job waits
    for methods that are gone.
    """
    parameters = env["ir.config_parameter"].sudo()
    parameters.search([("key", "=like", "wechat\\_base.%")]).unlink()
    env.cr.execute(
        """
        UPDATE queue_job
           SET state = 'cancelled', date_cancelled = now() AT TIME ZONE 'UTC'
         WHERE state IN ('wait_dependencies', 'pending', 'enqueued', 'started')
           AND (channel = 'root.wechat' OR channel LIKE 'root.wechat.%')
        """
    )
