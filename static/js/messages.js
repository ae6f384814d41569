// Messages: [data-dismiss] closes one; what a request could not do becomes one.

const MOST = 3;

export function listenForMessages() {
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("[data-dismiss]") : null;
    if (button) dismiss(button.closest("[data-message]"));
  });
  document.body.addEventListener("htmx:responseError", (event) => tellStatus(event.detail.xhr.status));
  document.body.addEventListener("htmx:sendError", (event) => {
    // The page's own polling is tried again by itself: no message for each attempt.
    if (event.detail.elt?.id === "live") return;
    tell(gettext("The site could not be reached. Check your connection and try again."));
  });
  document.body.addEventListener("htmx:afterSwap", keepFew);
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
  // 401 is on its way to the sign-in page.
  if (status === 401) return;
  if (status === 404) tell(gettext("It is no longer here: somebody may have deleted it. Reload the page."));
  else if (status === 403) tell(gettext("You signed in or out in another tab. Reload the page and do it again."));
  else tell(gettext("Something broke on our side, and nothing was changed. Try again in a moment."));
}

/** Show an error that stays until it is closed. @param {string} text */
export function tell(text) {
  const place = document.getElementById("messages");
  if (!place) return;
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
  message.append(words, close);
  place.append(message);
  keepFew();
}

function keepFew() {
  const messages = document.querySelectorAll("#messages > [data-message]");
  for (const message of [...messages].slice(0, -MOST)) message.remove();
}
