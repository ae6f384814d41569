// One file's way to the storage: begin or go on, send what is missing, finish.

import { BACK_OFF, NEVER, backOff, untilOnline } from "./wait.js";
import { ServerProblem, Unreachable, UploadGone } from "./problems.js";
import { call, callPatiently } from "./server.js";
import { sendParts } from "./parts.js";

const ROUNDS = 3;

/**
 * @typedef {{id: string, url: string, parts_url: string, finish_url: string, cancel_url: string, name: string,
 *   file_name: string, size: number, fingerprint: string, part_size: number, part_count: number,
 *   missing?: number[], urls?: Record<string, string>}} Upload as the server describes it
 */

/**
 * The row and the multipart upload for a file. When an answer is lost on its way the upload may have been begun all the
 * same: it is looked for by its fingerprint before another one is begun. The call itself is never cut off, for the same
 * reason; only the waits between tries are.
 * @param {File} file
 * @param {string[]} fingerprints
 * @param {{url: string, signal: AbortSignal, isTaken: (id: string) => boolean}} options isTaken: by another item
 * @returns {Promise<Upload>}
 */
export async function begin(file, fingerprints, { url, signal, isTaken }) {
  const json = { file_name: file.name, size: file.size, fingerprint: fingerprints[0] };
  for (let failures = 1; ; failures += 1) {
    try {
      return (await call(url, { json, signal: NEVER })).upload;
    } catch (error) {
      const isLost = error instanceof Unreachable || (error instanceof ServerProblem && error.passes);
      if (!isLost || failures > BACK_OFF.length) throw error;
    }
    await untilOnline(signal);
    await backOff(failures, signal);
    const { uploads } = await callPatiently(url, { signal });
    const begun = uploads.find((each) => each.fingerprint === fingerprints[0] && !isTaken(each.id));
    if (begun) return progressOf(begun, signal);
  }
}

/** What the storage already has. @param {Upload} upload @param {AbortSignal} signal @returns {Promise<Upload>} */
export async function progressOf(upload, signal) {
  try {
    return (await callPatiently(upload.url, { signal })).upload;
  } catch (error) {
    if (error instanceof ServerProblem && [404, 409].includes(error.status)) throw new UploadGone();
    throw error;
  }
}

/**
 * Send what is missing and finish; parts that the storage turns out not to have are sent again.
 * @param {File} file
 * @param {Upload} upload
 * @param {{signal: AbortSignal, onPart: (number: number, bytes: number) => void,
 *   onOffline: (isOffline: boolean) => void, onFinishing: (isFinishing: boolean) => void}} options
 */
export async function transfer(file, upload, { signal, onPart, onOffline, onFinishing }) {
  let missing = upload.missing || [];
  for (let round = 1; ; round += 1) {
    await sendParts(file, missing, {
      partSize: upload.part_size,
      signUrl: upload.parts_url,
      signed: round === 1 ? upload.urls || {} : {},
      signal,
      onPart,
      onOffline,
    });
    onFinishing(true);
    try {
      await callPatiently(upload.finish_url, { json: {}, signal, onOffline });
      return;
    } catch (error) {
      if (error instanceof ServerProblem && error.code === "upload.gone") throw new UploadGone();
      const isIncomplete = error instanceof ServerProblem && error.missing.length > 0;
      if (!isIncomplete || round === ROUNDS) throw error;
      missing = error.missing;
      for (const number of missing) onPart(number, 0);
      onFinishing(false);
    }
  }
}
