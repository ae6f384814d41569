// <button data-copy="text"> or <button data-copy-from="id of an element">: the text goes to the clipboard, and the
// button says so in place.

import { speak } from "./speak.js";
import { fill, gettext } from "./uploader/words.js";

const SHOWN_MS = 2500;

/** @param {HTMLElement} button @returns {string} */
function textOf(button) {
  const source = button.dataset.copyFrom ? document.getElementById(button.dataset.copyFrom) : null;
  return source ? source.textContent.trim() : button.dataset.copy ?? "";
}

/** Mark the text, so that Ctrl+C takes it. @param {HTMLElement} button */
function select(button) {
  const source = document.getElementById(button.dataset.copyFrom ?? button.dataset.copyShown ?? "");
  if (!source) return;
  const range = document.createRange();
  range.selectNodeContents(source);
  const selection = window.getSelection();
  selection?.removeAllRanges();
  selection?.addRange(range);
}

/** @param {HTMLElement} button */
function showCopied(button) {
  button.classList.add("is-copied");
  const what = button.dataset.copyWhat;
  speak(what ? fill(gettext("Copied: %(what)s"), { what }) : gettext("Copied"));
  window.clearTimeout(Number(button.dataset.copyTimer));
  button.dataset.copyTimer = String(window.setTimeout(() => button.classList.remove("is-copied"), SHOWN_MS));
}

/** @param {HTMLElement} button */
async function copy(button) {
  try {
    // Missing on plain http from another machine; refused where the page has no focus.
    if (!navigator.clipboard) throw new Error("no clipboard");
    await navigator.clipboard.writeText(textOf(button));
    showCopied(button);
  } catch {
    select(button);
    speak(gettext("The text is selected. Press Ctrl+C, or Command+C on a Mac, to copy it."));
  }
}

export function listenForCopies() {
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("[data-copy], [data-copy-from]") : null;
    if (button instanceof HTMLElement) copy(button);
  });
}
