-- A copy of the database must neither speak for the accounts nor listen for them.
UPDATE wechat_account
   SET environment = 'disabled',
       secret_cipher = NULL,
       token_cipher = NULL,
       encoding_aes_key_cipher = NULL,
       callback_key = md5(random()::text || clock_timestamp()::text || id);
UPDATE wechat_merchant
   SET environment = 'disabled',
       apiv3_key_cipher = NULL,
       apiv3_key_former_cipher = NULL,
       private_key_cipher = NULL,
       private_key_next_cipher = NULL,
       notify_key = md5(random()::text || clock_timestamp()::text || id);
DELETE FROM wechat_token;
DELETE FROM ir_config_parameter WHERE key = 'wechat_base.secret_key_check';
UPDATE wechat_event SET state = 'ignored' WHERE state = 'pending';
-- Operations of all add-ons: every table of a wechat.operation has these columns.
DO $$
DECLARE
    operation record;
BEGIN
    FOR operation IN
        SELECT number.table_name
          FROM information_schema.columns AS number
          JOIN information_schema.columns AS state USING (table_schema, table_name)
          JOIN information_schema.tables AS kind USING (table_schema, table_name)
         WHERE number.table_schema = current_schema()
           AND kind.table_type = 'BASE TABLE'
           AND number.column_name = 'request_no'
           AND state.column_name = 'remote_state'
    LOOP
        EXECUTE format(
            'UPDATE %I SET remote_state = ''cancelled'', remote_next_at = NULL, '
            'remote_blocked = FALSE '
            'WHERE remote_state IN (''pending'', ''sending'', ''unknown'')',
            operation.table_name
        );
    END LOOP;
END $$;
UPDATE queue_job
   SET state = 'cancelled', date_cancelled = now() AT TIME ZONE 'UTC'
 WHERE state IN ('wait_dependencies', 'pending', 'enqueued', 'started')
   AND (channel = 'root.wechat' OR channel LIKE 'root.wechat.%');
