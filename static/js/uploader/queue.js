// All items of the page: which one is worked on when, and what a person may do with each.
// It announces "added", "removed", "duplicate", "mismatched", "done" and "canceled", each with the item as `detail`.

import { Item } from "./item.js";
import { Problem, ServerProblem, UploadGone } from "./problems.js";
import { begin, isOver, progressOf, transfer } from "./transfer.js";
import { callPatiently } from "./server.js";
import { fingerprintsOf } from "./fingerprint.js";
import { gettext } from "./words.js";
import { precheck } from "./precheck.js";
import { NEVER } from "./wait.js";
import { Slots } from "./slots.js";

const CHECKS_AT_ONCE = 2;
const FILES_AT_ONCE = 2;
const LINGER_MS = 4000;
const OVER = new Set(["done", "canceling"]);
const GOES_ON = new Set(["unfinished", "paused", "failed"]);

export class Queue extends EventTarget {
  /** @type {Item[]} */
  items = [];
  #checks = new Slots(CHECKS_AT_ONCE);
  #transfers = new Slots(FILES_AT_ONCE);
  #urls;

  /** @param {{precheck: string, uploads: string}} urls */
  constructor(urls) {
    super();
    this.#urls = urls;
  }

  /**
   * Take files in: a new one is checked and sent, one that was begun before goes on.
   * @param {File[]} files
   */
  async add(files) {
    for (const file of files) {
      const fingerprints = await fingerprintsOf(file).catch((problem) => problem);
      if (fingerprints instanceof Error) this.#addUnreadable(file, fingerprints);
      else this.#addOne(file, fingerprints);
    }
  }

  /**
   * The file for an item that needs one: an unfinished upload takes only its own, one whose file cannot be read any more
   * begins anew with another.
   * @param {File[]} files
   * @param {Item} item
   */
  async give(files, item) {
    if (item.needsFile) {
      await this.#replace(item, files[0]);
      return;
    }
    for (const file of files) {
      const fingerprints = await fingerprintsOf(file).catch(() => []);
      if (item.state !== "unfinished") return;
      if (item.fingerprints.some((each) => fingerprints.includes(each))) {
        this.#goOn(item, file, fingerprints);
        return;
      }
    }
    item.change({ mismatched: true });
    this.#tell("mismatched", item);
  }

  /** @param {import("./transfer.js").Upload[]} uploads unfinished ones, from before a reload */
  restore(uploads) {
    for (const upload of uploads) {
      if (this.#hasUpload(upload.id)) continue;
      const item = Object.assign(new Item(), { state: "unfinished", upload, fingerprints: [upload.fingerprint] });
      this.#enter(item);
      this.#lookAt(item);
    }
  }

  /** @param {Item} item */
  pause(item) {
    item.controller.abort();
    item.change({ state: "paused", offline: false });
  }

  /** Go on after a pause, a failure or a reload. @param {Item} item */
  async resume(item) {
    item.controller.abort();
    const isReady = item.checked || !item.file;
    item.change({ state: isReady ? "waiting" : "queued", problem: null, mismatched: false, offline: false });
    await item.running;
    if (item.state === "waiting" || item.state === "queued") this.#start(item);
  }

  /** Stop it and throw away what has been sent. @param {Item} item */
  async cancel(item) {
    item.controller.abort();
    item.change({ state: "canceling", offline: false });
    await item.running;
    if (item.upload) {
      try {
        if (!(await this.#abort(item.upload))) {
          item.change({ tooLate: true });
          this.#finished(item);
          return;
        }
      } catch (problem) {
        this.#fail(item, problem);
        return;
      }
    }
    this.#remove(item);
    this.#tell("canceled", item);
  }

  #addUnreadable(file, problem) {
    const item = Object.assign(new Item(), { file });
    this.#enter(item);
    this.#fail(item, problem);
  }

  #addOne(file, fingerprints) {
    const same = this.#sameAs(fingerprints);
    if (same && GOES_ON.has(same.state)) {
      this.#goOn(same, file, fingerprints);
      return;
    }
    if (same && same.state !== "refused") {
      this.#tell("duplicate", same);
      return;
    }
    if (same) this.#remove(same);
    const item = Object.assign(new Item(), { file, fingerprints });
    this.#enter(item);
    this.#start(item);
  }

  async #replace(item, file) {
    try {
      const fingerprints = await fingerprintsOf(file);
      const same = this.#sameAs(fingerprints);
      if (!item.needsFile) return;
      if (same === item) {
        this.#goOn(item, file, fingerprints);
      } else if (same) {
        this.#tell("duplicate", same);
      } else {
        item.controller.abort();
        // Not yet "queued": until the old upload is gone nothing else may be done with it.
        item.change({ state: "canceling" });
        await item.running;
        if (item.upload) await this.#abort(item.upload);
        item.startAfresh(file, fingerprints);
        this.#start(item);
      }
    } catch (problem) {
      this.#fail(item, problem);
    }
  }

  /** @param {string[]} fingerprints @returns {Item | undefined} the one in the list with the same file */
  #sameAs(fingerprints) {
    return this.items.find(
      (item) => !OVER.has(item.state) && item.fingerprints.some((each) => fingerprints.includes(each)),
    );
  }

  #goOn(item, file, fingerprints) {
    Object.assign(item, { file, fingerprints });
    this.resume(item);
  }

  #enter(item) {
    this.items.push(item);
    this.#tell("added", item);
  }

  #remove(item) {
    this.items = this.items.filter((other) => other !== item);
    this.#tell("removed", item);
  }

  #start(item) {
    item.controller = new AbortController();
    const { signal } = item.controller;
    item.running = this.#work(item, signal).catch((problem) => {
      if (!signal.aborted) this.#fail(item, problem);
    });
  }

  async #work(item, signal) {
    // What is there as a whole goes on without its file; the server checks it again.
    if (!item.checked && item.file) {
      await this.#checks.run(() => this.#check(item, signal), signal);
      if (!item.checked) return;
      item.change({ state: "waiting" });
    }
    await this.#transfers.run(() => this.#send(item, signal), signal);
  }

  async #check(item, signal) {
    item.change({ state: "checking" });
    const onOffline = (offline) => item.change({ offline });
    const verdict = await precheck(item.file, this.#urls.precheck, { signal, onOffline });
    signal.throwIfAborted();
    const findings = verdict.findings.filter((finding) => finding.verdict === "fail");
    const milliseconds = Math.round((verdict.facts?.duration_s ?? 0) * 1000);
    item.change({ checked: verdict.ok, poster: verdict.poster || "", findings, milliseconds });
    if (!verdict.ok) await this.#refuse(item);
  }

  /** A clip that breaks a rule is not kept on the storage, should part of it be there. */
  async #refuse(item) {
    item.change({ state: "refused" });
    if (item.upload) await this.#abort(item.upload).catch(() => {});
    item.upload = null;
  }

  async #send(item, signal) {
    item.change({ state: "sending" });
    const isTaken = (id) => this.#hasUpload(id);
    const { tried, milliseconds } = item;
    item.tried = true;
    const upload = item.upload
      ? await progressOf(item.upload, signal)
      : await begin(item.file, item.fingerprints, { url: this.#urls.uploads, signal, isTaken, tried, milliseconds });
    if (!isOver(upload)) item.adopt(upload);
    signal.throwIfAborted();
    if (!item.file && upload.missing?.length) {
      item.change({ state: "unfinished" });
      return;
    }
    await transfer(item.file, upload, {
      signal,
      onPart: (number, bytes) => item.partSent(number, bytes),
      onOffline: (offline) => item.change({ offline }),
      onFinishing: (isFinishing) => item.change({ state: isFinishing ? "finishing" : "sending" }),
    });
    this.#finished(item);
  }

  /** From here on it is a card of the gallery. */
  #finished(item) {
    item.change({ state: "done", offline: false });
    this.#tell("done", item);
    setTimeout(() => this.#remove(item), LINGER_MS);
  }

  #fail(item, error) {
    if (error instanceof ServerProblem && error.findings.length) {
      item.change({ state: "refused", findings: error.findings, problem: null });
      return;
    }
    if (!(error instanceof Problem)) console.error(error);
    const problem =
      error instanceof Problem ? error : new Problem(gettext("Something went wrong in this page. Try again."));
    if (error instanceof UploadGone && item.upload) {
      // The row without its parts would stay in the list of unfinished uploads.
      this.#abort(item.upload).catch(() => {});
      Object.assign(item, { upload: null, tried: false });
    }
    item.change({ state: "failed", problem, offline: false });
  }

  /** Whether it is canceled now; not so where it was finished before. @param {import("./transfer.js").Upload} upload */
  async #abort(upload) {
    try {
      await callPatiently(upload.cancel_url, { json: {}, signal: NEVER });
      return true;
    } catch (error) {
      if (!(error instanceof ServerProblem) || ![404, 409].includes(error.status)) throw error;
      if (error.status === 404) return true;
      const { state } = await progressOf(upload, NEVER).catch((problem) => {
        if (problem instanceof UploadGone) return { state: "canceled" };
        throw problem;
      });
      if (state === "uploading") throw error;
      return state === "canceled";
    }
  }

  /** How much of an unfinished upload is there. */
  async #lookAt(item) {
    try {
      const upload = await progressOf(item.upload, NEVER);
      if (item.state !== "unfinished") return;
      if (isOver(upload)) this.#finished(item);
      else item.adopt(upload);
    } catch (error) {
      if (item.state === "unfinished" && error instanceof UploadGone) this.#remove(item);
    }
  }

  #hasUpload(id) {
    return this.items.some((item) => item.upload?.id === id);
  }

  #tell(kind, item) {
    this.dispatchEvent(new CustomEvent(kind, { detail: item }));
  }
}
