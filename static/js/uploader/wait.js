// Waiting: for a time, for the line, between tries. Every wait ends at once when its signal is aborted.

/** Seconds before each further try of a call or a part. */
export const BACK_OFF = [0, 1, 3, 5, 10];

/** For what must not be cut off. */
export const NEVER = new AbortController().signal;

/** @param {number} milliseconds @param {AbortSignal} signal */
export function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", stop, { once: true });
  });
}

/**
 * The wait before try number `failures` + 1, with up to a quarter of jitter, so that parts which failed together do not
 * come back together.
 * @param {number} failures from 1 to BACK_OFF.length
 * @param {AbortSignal} signal
 */
export function backOff(failures, signal) {
  return sleep(BACK_OFF[failures - 1] * 1000 * (1 + Math.random() / 4), signal);
}

/** Resolves when the browser has a network again. @param {AbortSignal} signal */
export function untilOnline(signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    if (navigator.onLine) {
      resolve();
      return;
    }
    const done = new AbortController();
    addEventListener("online", () => { done.abort(); resolve(); }, { signal: done.signal });
    signal.addEventListener("abort", () => { done.abort(); reject(signal.reason); }, { signal: done.signal });
  });
}
