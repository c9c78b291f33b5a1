/* A Native order through wechatpay-axios-plugin in public-key mode.
 * Settings come as JSON on standard input, the report goes out as JSON. */
'use strict';

const { Wechatpay } = require('wechatpay-axios-plugin');

async function main(settings) {
  const options = {
    mchid: settings.mchid,
    serial: settings.merchant_serial,
    privateKey: settings.merchant_private_key_pem,
    baseURL: settings.url,
    proxy: false,
  };
  const certs = { [settings.public_key_id]: settings.public_key_pem };
  const wxpay = new Wechatpay({ ...options, certs });
  const order = {
    appid: settings.appid,
    mchid: settings.mchid,
    description: '咖啡',
    out_trade_no: 'NODE-ORDER-1',
    notify_url: settings.notify_url,
    amount: { total: 100 },
  };
  const headers = { 'Wechatpay-Serial': settings.public_key_id };
  const created = await wxpay.v3.pay.transactions.native.post(order, { headers });
  const number = wxpay.v3.pay.transactions.outTradeNo.$out_trade_no$;
  const query = await number.get({
    params: { mchid: settings.mchid }, out_trade_no: 'NODE-ORDER-1', headers,
  });
  const refused = await wxpay.v3.pay.transactions.native
    .post({ ...order, extra: 1 }, { headers })
    .catch((error) => ({ status: error.response.status, code: error.response.data.code }));
  const closed = await number.close.post(
    { mchid: settings.mchid }, { out_trade_no: 'NODE-ORDER-1', headers },
  );

  // There is no notice of a payment by code.
  const sale = { ...order };
  delete sale.notify_url;
  const charged = await wxpay.v3.pay.transactions.codepay.post({
    ...sale,
    out_trade_no: 'NODE-ORDER-2',
    payer: { auth_code: settings.auth_code },
    scene_info: { store_info: { id: '1' } },
  }, { headers });
  const paid = await number.get({
    params: { mchid: settings.mchid }, out_trade_no: 'NODE-ORDER-2', headers,
  });
  const refund = await wxpay.v3.refund.domestic.refunds.post({
    out_trade_no: 'NODE-ORDER-2',
    out_refund_no: 'NODE-REFUND-1',
    amount: { refund: 40, total: 100, currency: 'CNY' },
  }, { headers });

  const refunded = await wxpay.v3.refund.domestic.refunds.$out_refund_no$.get({
    out_refund_no: 'NODE-REFUND-1', headers,
  });

  // The same client with another key in place of the platform's must refuse.
  const other = require('crypto').generateKeyPairSync('rsa', { modulusLength: 2048 });
  const deceived = new Wechatpay({
    ...options, certs: { [settings.public_key_id]: other.publicKey },
  });
  const forged = await deceived.v3.pay.transactions.native
    .post(order, { headers })
    .then(() => false, () => true);

  process.stdout.write(JSON.stringify({
    created: created.status,
    code_url: created.data.code_url,
    state: query.data.trade_state,
    refused,
    closed: closed.status,
    charged: charged.data.trade_state,
    transaction_id: charged.data.transaction_id,
    paid: paid.data.transaction_id,
    refund: refund.data.status,
    refunded: refunded.data.status,
    forged,
  }));
}

let text = '';
process.stdin.on('data', (chunk) => { text += chunk; });
process.stdin.on('end', () => {
  main(JSON.parse(text)).catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  });
});
