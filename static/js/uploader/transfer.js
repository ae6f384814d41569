// One file's way to the storage: begin or go on, send what is missing, finish.

import { BACK_OFF, NEVER, backOff, untilOnline } from "./wait.js";
import { Problem, ServerProblem, Unreachable, UploadGone } from "./problems.js";
import { call, callPatiently } from "./server.js";
import { PartFailure } from "./part.js";
import { partText, sendParts } from "./parts.js";

const ROUNDS = 3;

/**
 * @typedef {{id: string, state: string, url: string, parts_url: string, finish_url: string, cancel_url: string, name: string,
 *   file_name: string, size: number, fingerprint: string, part_size: number, part_count: number,
 *   missing?: number[], urls?: Record<string, string>}} Upload as the server describes it
 */

/**
 * The row and the multipart upload for a file. When an answer is lost on its way the upload may have been begun all the
 * same: it is looked for by its fingerprint before another one is begun. The call itself is never cut off, for the same
 * reason; only the waits between tries are.
 * @param {File} file
 * @param {string[]} fingerprints
 * @param {{url: string, signal: AbortSignal, isTaken: (id: string) => boolean, tried: boolean, milliseconds: number}} options
 *   isTaken: by another item; tried: it was asked for before, and no answer came; milliseconds: the clip's length, 0 where
 *   it is not known
 * @returns {Promise<Upload>}
 */
export async function begin(file, fingerprints, { url, signal, isTaken, tried, milliseconds }) {
  const json = { file_name: file.name, size: file.size, fingerprint: fingerprints[0], milliseconds };
  const lookFor = async () => {
    const { uploads } = await callPatiently(url, { signal });
    const begun = uploads.find((each) => each.fingerprint === fingerprints[0] && !isTaken(each.id));
    return begun ? progressOf(begun, signal) : null;
  };
  const begun = tried ? await lookFor() : null;
  if (begun) return begun;
  for (let failures = 1; ; failures += 1) {
    try {
      return (await call(url, { json, signal: NEVER })).upload;
    } catch (error) {
      const isLost = error instanceof Unreachable || (error instanceof ServerProblem && error.passes);
      if (!isLost || failures > BACK_OFF.length) throw error;
    }
    await untilOnline(signal);
    await backOff(failures, signal);
    const found = await lookFor();
    if (found) return found;
  }
}

/** It is whole and has been handed on, or was canceled after that. @param {Upload} upload */
export function isOver(upload) {
  return upload.state !== "uploading";
}

/** What the storage already has; an upload that is over says only that. @param {Upload} upload @param {AbortSignal} signal @returns {Promise<Upload>} */
export async function progressOf(upload, signal) {
  try {
    return (await callPatiently(upload.url, { signal })).upload;
  } catch (error) {
    if (error instanceof ServerProblem && (error.status === 404 || error.code === "upload.gone")) throw new UploadGone();
    throw error;
  }
}

/**
 * Send what is missing and finish. Where the storage or the server says that there is no such upload in hand, the
 * server is asked what became of it: another page, or a call whose answer was lost, may have finished it.
 * @param {File | null} file none is needed where nothing is missing
 * @param {Upload} upload
 * @param {{signal: AbortSignal, onPart: (number: number, bytes: number) => void,
 *   onOffline: (isOffline: boolean) => void, onFinishing: (isFinishing: boolean) => void}} options
 */
export async function transfer(file, upload, options) {
  const { signal, onPart, onFinishing } = options;
  let now = upload;
  for (let round = 1; !isOver(now); round += 1) {
    try {
      await sendOnce(file, now, options);
      return;
    } catch (error) {
      if (!isDoubtful(error)) throw error;
      now = await progressOf(upload, signal);
      if (round === ROUNDS && !isOver(now)) throw error instanceof PartFailure ? new Problem(partText(error)) : error;
      for (const number of now.missing || []) onPart(number, 0);
      onFinishing(isOver(now) || now.missing.length === 0);
    }
  }
}

/** @param {unknown} error says that a part, or the upload, is not there */
function isDoubtful(error) {
  return (error instanceof PartFailure || error instanceof ServerProblem) && [404, 409].includes(error.status);
}

async function sendOnce(file, upload, { signal, onPart, onOffline, onFinishing }) {
  const { missing = [], part_size: partSize, parts_url: signUrl, urls: signed = {} } = upload;
  if (missing.length) await sendParts(file, missing, { partSize, signUrl, signed, signal, onPart, onOffline });
  onFinishing(true);
  await callPatiently(upload.finish_url, { json: {}, signal, onOffline });
}
