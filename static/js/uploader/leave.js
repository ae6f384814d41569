// Leaving the page asks first while something is being sent, or is to be and would be forgotten.

import { SENDING } from "./item.js";

const BEFORE = new Set(["queued", "checking"]);

/** @param {import("./item.js").Item} item */
function isAtStake(item) {
  if (SENDING.has(item.state) || BEFORE.has(item.state)) return true;
  // The server knows of it only once it has begun.
  if (item.state === "paused") return !item.upload;
  return item.state === "failed" && item.file !== null && !item.needsFile;
}

/** @param {import("./queue.js").Queue} queue */
export function guardLeaving(queue) {
  addEventListener("beforeunload", (event) => {
    if (queue.items.some(isAtStake)) event.preventDefault();
  });
}
