// The page's one poll (#live asks for itself, web/live.py answers): told which cards are unsettled, not sent from a
// hidden tab, sent at once when the tab is looked at again.

import { speak } from "./speak.js";

const LOOK = "templates:look";

export function sparePolling() {
  document.body.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt.id !== "live") return;
    // Read from the page at this moment: cards are swapped by other requests too.
    event.detail.parameters.t = [...document.querySelectorAll("[data-live]")].map((card) => card.dataset.live);
  });
  document.body.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.id === "live" && document.hidden) event.preventDefault();
  });
  document.body.addEventListener("templates:news", (event) => speak(event.detail.text));
  document.addEventListener("visibilitychange", () => {
    const live = document.getElementById("live");
    if (!document.hidden && live) live.dispatchEvent(new CustomEvent(LOOK));
  });
}
