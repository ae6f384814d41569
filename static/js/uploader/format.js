// Sizes, speeds, times and shares as the page's language writes them.

const language = document.documentElement.lang || undefined;

/** @param {string} unit @param {number} digits */
function writer(unit, digits, display = "short") {
  return new Intl.NumberFormat(language, {
    style: "unit",
    unit,
    unitDisplay: display,
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

const kilobytes = writer("kilobyte", 0);
const megabytes = writer("megabyte", 1);
const gigabytes = writer("gigabyte", 1);
const kilobytesEachSecond = writer("kilobyte-per-second", 0);
const megabytesEachSecond = writer("megabyte-per-second", 1);
const seconds = writer("second", 0);
const minutes = writer("minute", 0);
const share = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 });
const MEGABYTE = 1e6;
const MINUTE = 60;

/** @param {number} count bytes, 10^6 to the megabyte, as the documented limit counts them (sizes.py writes them alike) */
export function formatBytes(count) {
  if (count < 999_500) {
    return kilobytes.format(Math.max(Math.round(count / 1e3), count > 0 ? 1 : 0));
  }
  return count < 999_950_000 ? megabytes.format(count / MEGABYTE) : gigabytes.format(count / 1e9);
}

/** @param {number} rate bytes a second */
export function formatSpeed(rate) {
  return rate < MEGABYTE ? kilobytesEachSecond.format(rate / 1e3) : megabytesEachSecond.format(rate / MEGABYTE);
}

/** @param {number} time seconds */
export function formatTime(time) {
  return time < MINUTE ? seconds.format(Math.max(1, Math.ceil(time))) : minutes.format(Math.ceil(time / MINUTE));
}

/** @param {number} percent 0 to 100 */
export function formatPercent(percent) {
  return share.format(percent / 100);
}
