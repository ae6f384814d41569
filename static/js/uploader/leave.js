// Leaving the page asks first while something is being sent.

import { SENDING } from "./item.js";

/** @param {import("./queue.js").Queue} queue */
export function guardLeaving(queue) {
  addEventListener("beforeunload", (event) => {
    if (queue.items.some((item) => SENDING.has(item.state))) event.preventDefault();
  });
}
