import { ConnectionLostError } from "@web/core/network/rpc";

/**
 * The server may have got the call, and may still answer it.
 *
 * Who handles a lost connection handles this, too.
 */
export class NoAnswerError extends ConnectionLostError {}

/**
 * Wait for an answer, but not for ever: a network that is half open loses packets
 * without telling anybody, and the browser then waits for minutes.
 *
 * @template T
 * @param {Promise<T>} answer goes on; whoever needs a late one holds on to it
 * @param {number} millis
 * @returns {Promise<T>}
 * @throws {NoAnswerError} when the time is over
 */
export async function withinTime(answer, millis) {
    let timer;
    const timeOut = new Promise((resolve, reject) => {
        timer = setTimeout(() => reject(new NoAnswerError()), millis);
    });
    try {
        return await Promise.race([answer, timeOut]);
    } finally {
        clearTimeout(timer);
    }
}
