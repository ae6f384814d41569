// The one polite live region: start, each quarter, done, errors. What comes close together is said together.

import { fill, gettext } from "./words.js";
import { formatPercent } from "./format.js";
import { stateWords } from "./state_words.js";

const TOGETHER_MS = 400;
const QUARTER = 25;

/** Whole sentences, one after the other: not every language has a space between them. @param {string[]} sentences */
function inARow(sentences) {
  return sentences
    .filter(Boolean)
    .reduce((first, next) => fill(gettext("%(first)s %(next)s"), { first, next }));
}

/**
 * @param {import("./queue.js").Queue} queue
 * @param {HTMLElement} region
 */
export function speak(queue, region) {
  /** @type {string[]} */
  let texts = [];
  const say = (text) => {
    if (!texts.length) {
      setTimeout(() => {
        region.textContent = inARow(texts);
        texts = [];
      }, TOGETHER_MS);
    }
    texts.push(text);
  };

  queue.addEventListener("added", ({ detail: item }) => follow(item, say));
  queue.addEventListener("duplicate", ({ detail: item }) => {
    say(fill(gettext("%(name)s is in the list already."), { name: item.name }));
  });
  queue.addEventListener("mismatched", ({ detail: item }) => {
    say(fill(gettext("%(name)s: %(text)s"), { name: item.name, text: stateWords(item) }));
  });
  queue.addEventListener("canceled", ({ detail: item }) => {
    say(fill(gettext("%(name)s: canceled."), { name: item.name }));
  });
}

/** @param {import("./item.js").Item} item @param {(text: string) => void} say */
function follow(item, say) {
  let quarters = 0;
  let wasOffline = false;
  const sayOf = (text) => say(fill(gettext("%(name)s: %(text)s"), { name: item.name, text }));

  item.addEventListener("state", () => {
    const text = wordsFor(item);
    if (text) sayOf(text);
  });
  item.addEventListener("change", () => {
    if (item.offline !== wasOffline) {
      wasOffline = item.offline;
      sayOf(stateWords(item));
    }
    const reached = Math.floor(item.percent / QUARTER);
    if (item.state === "sending" && reached > quarters) sayOf(formatPercent(reached * QUARTER));
    quarters = Math.max(quarters, reached);
  });
}

/** @param {import("./item.js").Item} item */
function wordsFor(item) {
  switch (item.state) {
    case "sending":
    case "paused":
    case "done":
      return stateWords(item);
    case "refused":
      return inARow([stateWords(item), ...item.findings.flatMap(({ what, fix }) => [what, fix])]);
    case "failed":
      return fill(gettext("%(state)s. %(problem)s"), { state: stateWords(item), problem: item.problem.text });
    default:
      return "";
  }
}
