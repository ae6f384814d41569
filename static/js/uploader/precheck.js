// The check before the upload: slices of the file go to the server until it knows enough.

import { Problem, bytesOf } from "./problems.js";
import { callPatiently } from "./server.js";
import { gettext } from "./words.js";

const EDGE_BYTES = 256 * 1024;
const MOST_TRIPS = 40;

/**
 * @typedef {{ok: boolean, facts: object | null, poster: string,
 *   findings: Array<{rule: string, verdict: string, label: string, measured: string, limit: string, what: string,
 *   fix: string}>}} Verdict
 *
 * Each request carries all slices so far: the server keeps nothing between them.
 * @param {File} file
 * @param {string} url
 * @param {{signal: AbortSignal, onOffline?: (isOffline: boolean) => void}} options
 * @returns {Promise<Verdict>}
 */
export async function precheck(file, url, options) {
  const ranges = firstRanges(file.size);
  for (let trip = 0; trip < MOST_TRIPS; trip += 1) {
    const form = new FormData();
    form.append("size", String(file.size));
    for (const [start, end] of ranges) {
      // Read here, not by the browser while it sends: a file that is gone then has an error of its own.
      const bytes = await bytesOf(file.slice(start, end));
      form.append("offset", String(start));
      form.append("slice", new Blob([bytes]), "slice");
    }
    const answer = await callPatiently(url, { ...options, form });
    if (!answer.need) return answer;
    ranges.push(answer.need);
  }
  throw new Problem(gettext("The file could not be checked: its index is scattered. Save it again as MP4."));
}

/** @param {number} size @returns {Array<[number, number]>} */
function firstRanges(size) {
  if (size <= 2 * EDGE_BYTES) return [[0, size]];
  return [[0, EDGE_BYTES], [size - EDGE_BYTES, size]];
}
