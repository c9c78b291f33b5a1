"""The rules that guard coupons are no longer the administrator's to keep."""


def migrate(cr, version):
    cr.execute(
        """
        UPDATE ir_model_data SET noupdate = false
         WHERE module = 'wechat_coupon'
           AND name IN ('loyalty_card_rule_guarded', 'loyalty_history_rule_guarded')
        """
    )
