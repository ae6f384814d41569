// Calls to our own server: JSON in, JSON out, every failure a Problem.

import { BACK_OFF, backOff, sleep, untilOnline } from "./wait.js";
import { OutOfDate, ServerProblem, SignedOut, Unreachable } from "./problems.js";

const TIMEOUT_MS = 60_000;
// A server that says when to come back is busy, not broken.
const MOST_ASKED_WAITS = 30;

/** The cookie's token is the newer one after signing in again in another tab. */
function csrfToken() {
  // Under https the name has a prefix.
  const cookie = document.cookie.split("; ").find((pair) => /^(__Host-)?csrftoken=/.test(pair));
  if (cookie) return decodeURIComponent(cookie.slice(cookie.indexOf("=") + 1));
  return document.querySelector("[name=csrfmiddlewaretoken]")?.value || "";
}

/** @param {Response} response */
async function answerOf(response) {
  // A redirect is the way to the sign-in page: none of these addresses has another.
  if (response.type === "opaqueredirect" || response.status === 401) throw new SignedOut();
  const isJson = (response.headers.get("Content-Type") || "").startsWith("application/json");
  const answer = isJson ? await response.json() : {};
  if (response.ok && isJson) return answer;
  // Ours say no in JSON; the guard against forgery does not.
  if (response.status === 403 && !isJson) throw new OutOfDate();
  const problem = new ServerProblem(response.status, answer.error || {});
  problem.waitSeconds = Number(response.headers.get("Retry-After")) || 0;
  throw problem;
}

/**
 * One call.
 * @param {string} url
 * @param {{json?: object, form?: FormData, signal: AbortSignal}} options a GET where neither body is given
 * @returns {Promise<any>} the answer's JSON
 */
export async function call(url, { json, form, signal }) {
  const headers = { Accept: "application/json" };
  const isPost = json !== undefined || form !== undefined;
  if (isPost) headers["X-CSRFToken"] = csrfToken();
  if (json !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(url, {
      method: isPost ? "POST" : "GET",
      body: form ?? (json === undefined ? undefined : JSON.stringify(json)),
      headers,
      redirect: "manual",
      credentials: "same-origin",
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    return await answerOf(response);
  } catch (error) {
    signal.throwIfAborted();
    // fetch's TypeError is "no network", a SyntaxError an answer cut short, a DOMException the time-out.
    if ([TypeError, SyntaxError, DOMException].some((kind) => error instanceof kind)) throw new Unreachable();
    throw error;
  }
}

/**
 * The same, tried again with growing waits while the server is busy or does not answer; without a network it waits.
 * @param {string} url
 * @param {{json?: object, form?: FormData, signal: AbortSignal, onOffline?: (isOffline: boolean) => void}} options
 */
export async function callPatiently(url, options) {
  const { signal, onOffline = () => {} } = options;
  for (let failures = 0; ; ) {
    try {
      return await call(url, options);
    } catch (error) {
      if (error instanceof Unreachable && !navigator.onLine) {
        onOffline(true);
        await untilOnline(signal);
        onOffline(false);
        continue;
      }
      failures += 1;
      const passes = error instanceof Unreachable || (error instanceof ServerProblem && error.passes);
      if (!passes || failures > (error.waitSeconds ? MOST_ASKED_WAITS : BACK_OFF.length)) throw error;
      await (error.waitSeconds ? sleep(error.waitSeconds * 1000, signal) : backOff(failures, signal));
    }
  }
}
