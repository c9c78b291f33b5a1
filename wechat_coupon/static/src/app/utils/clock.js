const { DateTime } = luxon;

/** @returns {string} the time of day, as the cashier reads it */
export function clock(millis) {
    return DateTime.fromMillis(millis).toFormat("HH:mm");
}
