// The page's one poll (#live asks for itself, web/live.py answers): told which cards are unsettled, not sent from a
// hidden tab, sent at once when the tab is looked at again, less and less often while no answer comes, and not at all
// once one is signed out.

import { askToSignIn, forgetSignIn } from "./messages.js";
import { speak } from "./speak.js";

const LOOK = "templates:look";
const FIRST_WAIT_MS = 6_000;
const LONGEST_WAIT_MS = 60_000;
// The page's own ticks are every few seconds: one that comes a little early still counts.
const TICK_SLACK_MS = 500;

let failures = 0;
let silentUntil = 0;
let signedOut = false;

/** @param {any} event */
const isPoll = (event) => event.detail.elt?.id === "live";

export function sparePolling() {
  document.body.addEventListener("htmx:configRequest", (event) => {
    if (!isPoll(event)) return;
    // Read from the page at this moment: cards are swapped by other requests too.
    event.detail.parameters.t = [...document.querySelectorAll("[data-live]")].map(shownBy);
    event.detail.parameters.hold = document.getElementById("hold")?.dataset.mark ?? "";
    const quota = document.getElementById("quota");
    if (quota) event.detail.parameters.quota = quota.dataset.mark;
  });
  document.body.addEventListener("htmx:beforeRequest", (event) => {
    if (isPoll(event) && (document.hidden || signedOut || Date.now() < silentUntil)) event.preventDefault();
  });
  document.body.addEventListener("htmx:afterRequest", heed);
  // Not an aborted one: the page itself ends a question whose place it swaps.
  for (const kind of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.body.addEventListener(kind, slowDown);
  }
  document.body.addEventListener("templates:news", (event) => speak(event.detail.text));
  document.addEventListener("visibilitychange", lookAgain);
}

/** What a card shows: whose, which version, and its outlook in short. @param {any} card @returns {string} */
function shownBy(card) {
  return `${card.dataset.live}.${card.querySelector("[data-told]")?.dataset.told ?? ""}`;
}

/** What the answer means for the questions to come. @param {any} event */
function heed(event) {
  const { successful, xhr } = event.detail;
  if (successful) {
    failures = silentUntil = 0;
    signedOut = false;
    forgetSignIn();
  } else if (xhr?.status === 401 && !xhr.getResponseHeader("HX-Redirect")) {
    signedOut = true;
    askToSignIn();
  }
}

/** @param {any} event */
function slowDown(event) {
  if (!isPoll(event)) return;
  failures += 1;
  silentUntil = Date.now() + Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS) - TICK_SLACK_MS;
}

/** The tab is seen again: one may have signed in, or come back to the network, meanwhile. */
function lookAgain() {
  const live = document.getElementById("live");
  if (document.hidden || !live) return;
  signedOut = false;
  silentUntil = 0;
  live.dispatchEvent(new CustomEvent(LOOK));
}
