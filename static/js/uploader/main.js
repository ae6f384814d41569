// The uploader: the plain form of the page, made into a list that checks, sends and goes on.

import { Queue } from "./queue.js";
import { gettext } from "./words.js";
import { guardLeaving } from "./leave.js";
import { restoreUploads } from "./list.js";
import { showItems } from "./view.js";
import { speak } from "./speech.js";
import { takeFiles } from "./pick.js";

/** @param {HTMLElement} root */
function start(root) {
  const form = root.querySelector("form");
  const input = form.querySelector("input[type=file]");
  const region = root.querySelector("[data-speech]");
  const { precheckUrl, uploadsUrl, icons, signInUrl } = root.dataset;
  const queue = new Queue({ precheck: precheckUrl, uploads: uploadsUrl });
  /** @type {import("./item.js").Item | null} the unfinished upload that a file is being chosen for */
  let expected = null;

  const actions = {
    pause: (item) => queue.pause(item),
    resume: (item) => queue.resume(item),
    finish: (item) => queue.resume(item),
    retry: (item) => queue.resume(item),
    cancel: (item) => queue.cancel(item),
    remove: (item) => queue.cancel(item),
    choose: (item) => {
      expected = item;
      input.click();
    },
  };
  showItems(queue, {
    list: root.querySelector("[data-list]"),
    template: root.querySelector("template"),
    fallbackFocus: input,
    icons,
    signIn: signInUrl,
    actions,
  });
  speak(queue, region);
  guardLeaving(queue);
  const restored = restoreUploads(queue, uploadsUrl, () => {
    region.textContent = gettext("Uploads left unfinished earlier could not be looked up. Reload the page to see them.");
  });
  input.addEventListener("cancel", () => { expected = null; });
  takeFiles(form, input, async (files) => {
    const chosenFor = expected && queue.items.includes(expected) ? expected : null;
    expected = null;
    await restored;
    await (chosenFor ? queue.give(files, chosenFor) : queue.add(files));
  });
  // The gallery below takes over from here.
  for (const kind of ["done", "canceled"]) {
    queue.addEventListener(kind, () => document.body.dispatchEvent(new CustomEvent("templates:changed", { bubbles: true })));
  }
  root.classList.add("is-live");
}

for (const root of document.querySelectorAll("[data-uploader]")) start(root);
