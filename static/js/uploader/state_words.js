// What an item's state is called, and the icon beside the word.

import { fill, gettext, ngettext } from "./words.js";
import { formatBytes, formatPercent, formatSpeed, formatTime } from "./format.js";

const ICONS = {
  queued: "waiting",
  checking: "search",
  refused: "blocked",
  waiting: "waiting",
  sending: "upload",
  paused: "pause",
  finishing: "working",
  done: "check",
  failed: "failed",
  unfinished: "pause",
  canceling: "canceled",
};

/** @param {import("./item.js").Item} item @returns {string} a name in the sprite */
export function iconOf(item) {
  return item.offline ? "lost" : ICONS[item.state];
}

/** @param {import("./item.js").Item} item */
export function stateWords(item) {
  if (item.offline) return gettext("No connection. It goes on by itself when the connection is back.");
  switch (item.state) {
    case "queued": return gettext("Waiting to be checked");
    case "checking": return gettext("Checking the clip…");
    case "refused": return gettext("Cannot be used. Nothing was uploaded.");
    case "waiting": return gettext("Checked. Waiting to be sent");
    case "sending": return gettext("Sending");
    case "paused": return gettext("Paused");
    case "finishing": return gettext("Sent, finishing…");
    case "done":
      if (item.tooLate) return gettext("It was uploaded already. Cancel it on its card.");
      return gettext("Uploaded. Checking…");
    case "failed": return gettext("Not sent");
    case "canceling": return gettext("Canceling…");
    default: return unfinishedWords(item);
  }
}

function unfinishedWords(item) {
  if (item.mismatched) return gettext("That was another file. Choose the one that was begun, or add the other one by the button above.");
  const missing = item.upload.missing?.length;
  if (missing === undefined) return gettext("Unfinished. Choose the same file to go on");
  if (item.isWhole) return gettext("All of it is there. It only has to be finished");
  const text = ngettext(
    "%(missing)s of %(count)s part missing. Choose the same file to go on",
    "%(missing)s of %(count)s parts missing. Choose the same file to go on",
    item.upload.part_count,
  );
  return fill(text, { missing, count: item.upload.part_count });
}

/** "31 MB of 74 MB · 5.2 MB/s · 8 s left", as far as it is known. @param {import("./item.js").Item} item */
export function amountWords(item) {
  const words = [fill(gettext("%(sent)s of %(size)s"), { sent: formatBytes(item.sent), size: formatBytes(item.size) })];
  const rate = item.state === "sending" && !item.offline ? item.speed.value() : null;
  if (rate) words.push(formatSpeed(rate));
  if (rate) words.push(fill(gettext("%(time)s left"), { time: formatTime(item.timeLeft) }));
  return words.join(" · ");
}

/** What the progress bar says to a screen reader. @param {import("./item.js").Item} item */
export function progressWords(item) {
  const amount = fill(gettext("%(sent)s of %(size)s"), { sent: formatBytes(item.sent), size: formatBytes(item.size) });
  return fill(gettext("%(percent)s, %(amount)s"), { percent: formatPercent(item.percent), amount });
}
