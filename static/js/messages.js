// Messages: [data-dismiss] closes one; what a request could not do becomes one.

import { gettext } from "./uploader/words.js";

const MOST = 3;

export function listenForMessages() {
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("[data-dismiss]") : null;
    if (button) dismiss(button.closest("[data-message]"));
  });
  document.body.addEventListener("htmx:responseError", (event) => {
    if (!isPoll(event)) tellStatus(event.detail.xhr.status);
  });
  document.body.addEventListener("htmx:sendError", (event) => {
    if (!isPoll(event)) tell(gettext("The site could not be reached. Check your connection and try again."));
  });
  document.body.addEventListener("htmx:afterSwap", keepFew);
}

/** The page's own polling is tried again by itself: no message for each attempt. @param {any} event */
function isPoll(event) {
  return event.detail.elt?.id === "live";
}

/** @param {Element | null} message */
function dismiss(message) {
  if (!message) return;
  const next = message.nextElementSibling?.querySelector("button") ?? document.getElementById("main");
  message.remove();
  next?.focus();
}

/** @param {number} status */
function tellStatus(status) {
  // 401 is on its way to the sign-in page, or has its own message (live.js).
  if (status === 401) return;
  if (status === 404) tell(gettext("It is no longer here: somebody may have deleted it. Reload the page."));
  else if (status === 403) tell(gettext("You signed in or out in another tab. Reload the page and do it again."));
  else tell(gettext("Something broke on our side, and nothing was changed. Try again in a moment."));
}

/** Show an error that stays until it is closed.
 * @param {string} text @param {HTMLElement[]} more what stands behind the text
 * @returns {HTMLElement | null} the message */
export function tell(text, ...more) {
  const place = document.getElementById("messages");
  if (!place) return null;
  const message = document.createElement("div");
  message.className = "message message-error";
  message.dataset.message = "";
  const words = document.createElement("p");
  words.className = "message-text";
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button button-plain button-small";
  close.dataset.dismiss = "";
  close.textContent = gettext("Close");
  message.append(words, ...more, close);
  place.append(message);
  keepFew();
  return message;
}

/** One message, however often it is found out. The page stays: an upload may be going on in it. */
export function askToSignIn() {
  if (signInMessage()) return;
  const link = document.createElement("a");
  link.className = "button button-quiet button-small";
  link.href = document.body.dataset.signIn ?? "/";
  link.target = "_blank";
  link.rel = "noopener";
  link.textContent = gettext("Sign in (new tab)");
  const message = tell(gettext("You are signed out. Sign in again, then come back to this page; it goes on by itself."), link);
  message?.setAttribute("data-sign-in", "");
}

/** One is signed in again. */
export function forgetSignIn() {
  signInMessage()?.remove();
}

function signInMessage() {
  return document.querySelector("#messages > [data-sign-in]");
}

/** What can still be undone stays. */
function keepFew() {
  const messages = document.querySelectorAll("#messages > [data-message]:not(:has([data-undo])):not([data-sign-in])");
  for (const message of [...messages].slice(0, -MOST)) message.remove();
}
