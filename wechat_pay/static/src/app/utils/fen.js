/**
 * The one place where the till turns an amount into fen.
 *
 * @param {number} amount in yuan
 * @returns {number} an integer
 */
export function toFen(amount) {
    const [, sign, yuan, fen] = /^(-?)(\d+)\.(\d\d)$/.exec(amount.toFixed(2));
    const total = parseInt(yuan + fen, 10);
    return sign && total ? -total : total;
}
