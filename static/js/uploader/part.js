// One try to put one part into the storage.

const STALL_MS = 30_000;
// Once all is handed over, the system may still hold megabytes of it: on a slow line the answer takes its time.
const ANSWER_MS = 120_000;

/** Why a try failed: "offline", "network", "stalled" or "status". */
export class PartFailure extends Error {
  /** @param {string} kind @param {number} status @param {string} code the storage's own word */
  constructor(kind, status = 0, code = "") {
    super(`part: ${kind} ${status} ${code}`);
    this.kind = kind;
    this.status = status;
    this.code = code;
  }
}

/**
 * XMLHttpRequest, for fetch does not tell how much of a body has gone out.
 * @param {string} url signed for PUT
 * @param {Blob} blob without a type: a Content-Type header would not be the signed one
 * @param {{onProgress: (bytes: number) => void, signal: AbortSignal}} options
 * @returns {Promise<void>}
 */
export function putPart(url, blob, { onProgress, signal }) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = new XMLHttpRequest();
    const over = new AbortController();
    let timer = 0;

    const end = (settle, value) => {
      clearTimeout(timer);
      over.abort();
      settle(value);
    };
    const fail = (failure) => {
      end(reject, failure);
      request.abort();
    };
    const watch = (milliseconds) => {
      clearTimeout(timer);
      timer = setTimeout(() => fail(new PartFailure("stalled")), milliseconds);
    };

    request.upload.addEventListener("progress", (event) => {
      onProgress(event.loaded);
      watch(STALL_MS);
    });
    request.upload.addEventListener("load", () => watch(ANSWER_MS));
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) end(resolve);
      else fail(new PartFailure("status", request.status, codeIn(request.responseText)));
    });
    request.addEventListener("error", () => fail(new PartFailure(navigator.onLine ? "network" : "offline")));
    addEventListener("offline", () => fail(new PartFailure("offline")), { signal: over.signal });
    signal.addEventListener("abort", () => fail(signal.reason), { signal: over.signal });

    request.open("PUT", url);
    request.send(blob);
    watch(STALL_MS);
  });
}

/** @param {string} xml */
function codeIn(xml) {
  return /<Code>([^<]+)<\/Code>/.exec(xml)?.[1] || "";
}
