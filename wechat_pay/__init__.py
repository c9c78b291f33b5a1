from odoo.addons.payment import reset_payment_provider, setup_provider

from . import controllers
from . import models
from . import wizard


def post_init_hook(env):
    setup_provider(env, "wechat_pay")


def uninstall_hook(env):
    reset_payment_provider(env, "wechat_pay")
    # No job waits for methods that are gone.
    env.cr.execute(
        """
        UPDATE queue_job
           SET state = 'cancelled', date_cancelled = now() AT TIME ZONE 'UTC'
         WHERE state IN ('wait_dependencies', 'pending', 'enqueued', 'started')
           AND (model_name LIKE 'wechat.pay.%' OR method_name = '_reconcile_open')
        """
    )
