-- A copy of the database asks WeChat nothing, and has no key to do it with.
UPDATE wechat_merchant SET apiv2_key_cipher = NULL;
UPDATE wechat_pay_transaction SET next_at = NULL WHERE next_at IS NOT NULL;
