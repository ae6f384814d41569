// All parts of one file that the storage does not have yet, several at once, each tried again on its own.

import { BACK_OFF, backOff, untilOnline } from "./wait.js";
import { PartFailure, putPart } from "./part.js";
import { Problem, bytesOf } from "./problems.js";
import { callPatiently } from "./server.js";
import { Slots } from "./slots.js";
import { fill, gettext } from "./words.js";

const AT_ONCE = 4;
// A whole clip of the largest size.
const SIGNED_AT_ONCE = 25;
const FRESH_URLS = 3;

/** Over the whole page, however many files are being sent. */
const slots = new Slots(AT_ONCE);

/** Signed URLs, fetched in batches and thrown away once refused. */
class PartUrls {
  /** @type {Map<number, Promise<string>>} */
  #known = new Map();

  /**
   * @param {string} url
   * @param {number[]} numbers all that will be wanted
   * @param {Record<string, string>} signed those that are signed already
   * @param {object} options callPatiently's
   */
  constructor(url, numbers, signed, options) {
    this.url = url;
    this.numbers = numbers;
    this.options = options;
    for (const [number, address] of Object.entries(signed)) this.#known.set(Number(number), Promise.resolve(address));
  }

  /** @param {number} number */
  of(number) {
    if (!this.#known.has(number)) this.#sign(number);
    return this.#known.get(number);
  }

  /** @param {number} number */
  forget(number) {
    this.#known.delete(number);
  }

  /** The wanted one, and with it the next ones that have none yet. @param {number} number */
  #sign(number) {
    const following = this.numbers.filter((other) => other > number && !this.#known.has(other));
    const batch = [number, ...following.slice(0, SIGNED_AT_ONCE - 1)];
    const answer = callPatiently(this.url, { ...this.options, json: { numbers: batch } });
    for (const each of batch) {
      const url = answer.then((signed) => signed.urls[String(each)]);
      // Whoever waits for it sees the failure; a further one asks anew.
      url.catch(() => this.forget(each));
      this.#known.set(each, url);
    }
  }
}

/**
 * Send the parts `numbers` of `file`. Ends with the first failure that further tries do not mend: a PartFailure where
 * the storage has no such upload in hand (404, 409), else a Problem.
 * @param {File} file
 * @param {number[]} numbers from 1, ascending
 * @param {{partSize: number, signUrl: string, signed: Record<string, string>, signal: AbortSignal, onPart: (number: number, bytes: number) => void,
 *   onOffline: (isOffline: boolean) => void}} options onPart tells how much of a part has gone out, 0 when a try failed
 */
export async function sendParts(file, numbers, { partSize, signUrl, signed, signal, onPart, onOffline }) {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const urls = new PartUrls(signUrl, numbers, signed, { signal: either, onOffline });
  const left = [...numbers];
  const work = async () => {
    for (let number = left.shift(); number !== undefined; number = left.shift()) {
      const blob = file.slice((number - 1) * partSize, number * partSize);
      await sendPart(number, blob, { urls, signal: either, onPart, onOffline });
    }
  };
  const works = Array.from({ length: Math.min(AT_ONCE, numbers.length) }, () =>
    work().catch((error) => {
      failed.abort(error);
      throw error;
    }),
  );
  // All have come to rest before anything else is said: no part is on its way after a pause.
  await Promise.allSettled(works);
  either.throwIfAborted();
}

/** One part, until it is there. */
async function sendPart(number, blob, { urls, signal, onPart, onOffline }) {
  let failures = 0;
  let refreshed = 0;
  for (;;) {
    try {
      await slots.run(async () => {
        const url = await urls.of(number);
        await putPart(url, blob, { onProgress: (bytes) => onPart(number, bytes), signal });
      }, signal);
      onPart(number, blob.size);
      return;
    } catch (error) {
      onPart(number, 0);
      signal.throwIfAborted();
      if (!(error instanceof PartFailure)) throw error;
      if (error.kind === "offline") {
        onOffline(true);
        await untilOnline(signal);
        onOffline(false);
        continue;
      }
      // A refusal that came without CORS headers looks like a network failure: the next try has a fresh URL as well.
      urls.forget(number);
      if (error.status === 403 && refreshed < FRESH_URLS) {
        refreshed += 1;
        continue;
      }
      await requireHope(error, blob);
      failures += 1;
      if (failures > BACK_OFF.length) throw new Problem(partText(error));
      await backOff(failures, signal);
    }
  }
}

/** Throws where no further try can help. @param {PartFailure} failure @param {Blob} blob */
async function requireHope(failure, blob) {
  // No such upload in hand: whether it was finished or thrown away is for the server to say.
  if (failure.status === 404 || failure.status === 409) throw failure;
  // A file that was changed or taken away looks like a network failure: one byte of it tells.
  await bytesOf(blob.slice(0, 1));
}

/** What is said when tries no longer help. @param {PartFailure} failure */
export function partText(failure) {
  if (failure.kind === "status") {
    return fill(gettext("The storage refused a part (%(status)s %(code)s). Try again: what has been sent is kept."), {
      status: failure.status,
      code: failure.code,
    });
  }
  return gettext("The storage does not answer. Try again: what has been sent is kept.");
}
