// Uploads that an earlier visit left unfinished, from the server.

import { callPatiently } from "./server.js";
import { NEVER } from "./wait.js";

const PATIENCE_MS = 5000;

/**
 * Put them into the queue. Resolves when that is done, or soon when it cannot be: files can be taken in all the same.
 * @param {import("./queue.js").Queue} queue
 * @param {string} url
 * @param {() => void} onProblem
 */
export function restoreUploads(queue, url, onProblem) {
  const restored = callPatiently(url, { signal: NEVER })
    .then(({ uploads }) => queue.restore(uploads))
    .catch((error) => {
      console.error(error);
      onProblem();
    });
  return Promise.race([restored, new Promise((resolve) => { setTimeout(resolve, PATIENCE_MS); })]);
}
