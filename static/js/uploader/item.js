// One line of the list: a file and how far it is. It announces "change", and "state" when its state is another one.

import { Speed } from "./speed.js";
import { Unreadable } from "./problems.js";

/** Being sent, or about to be: leaving the page would stop it. */
export const SENDING = new Set(["waiting", "sending", "finishing"]);
/** Bytes have gone out, or will: progress is shown. */
export const WITH_PROGRESS = new Set(["sending", "paused", "finishing", "failed", "unfinished"]);

export class Item extends EventTarget {
  /** "queued" | "checking" | "refused" | "waiting" | "sending" | "paused" | "finishing" | "done" | "failed" |
   *  "unfinished" | "canceling" */
  state = "queued";
  /** @type {File | null} none for an upload from before a reload, until it is chosen again */
  file = null;
  /** @type {string[]} */
  fingerprints = [];
  /** @type {import("./transfer.js").Upload | null} */
  upload = null;
  /** It was tried to begin the upload: it may exist without our knowing. */
  tried = false;
  checked = false;
  poster = "";
  /** The clip's length; 0 where it is not known. */
  milliseconds = 0;
  /** @type {object[]} findings that failed, as texts */
  findings = [];
  /** @type {import("./problems.js").Problem | null} */
  problem = null;
  offline = false;
  /** The file that was chosen for it was another one. */
  mismatched = false;
  /** It was to be canceled, but had been uploaded already. */
  tooLate = false;
  speed = new Speed();
  /** @type {AbortController} */
  controller = new AbortController();
  /** @type {Promise<void>} the work in hand; never rejects */
  running = Promise.resolve();
  /** @type {Map<number, number>} */
  #parts = new Map();

  /** All is there; no file is needed to go on. */
  get isWhole() {
    return this.upload?.missing?.length === 0;
  }

  /** Its file was moved or changed: only another choice helps. */
  get needsFile() {
    return this.state === "failed" && (this.problem instanceof Unreadable || !this.file);
  }

  get name() {
    return this.file?.name || this.upload?.file_name || "";
  }

  get size() {
    return this.file?.size ?? this.upload?.size ?? 0;
  }

  /** Bytes that have gone out. */
  get sent() {
    let bytes = 0;
    for (const part of this.#parts.values()) bytes += part;
    return Math.min(bytes, this.size);
  }

  /** 0 to 99: never 100 while something is still to do. */
  get percent() {
    return this.size ? Math.min(99, Math.floor((100 * this.sent) / this.size)) : 0;
  }

  /** Seconds, or null while it cannot be said. */
  get timeLeft() {
    const rate = this.speed.value();
    return rate ? (this.size - this.sent) / rate : null;
  }

  /** Nothing of it has been sent: another file has taken the place of the one before. */
  startAfresh(file, fingerprints) {
    this.#parts.clear();
    this.speed = new Speed();
    const values = { upload: null, tried: false, checked: false, poster: "", findings: [], problem: null };
    this.change({ ...values, file, fingerprints, state: "queued" });
  }

  /** Take over what the storage has. @param {import("./transfer.js").Upload} upload */
  adopt(upload) {
    const missing = new Set(upload.missing || []);
    this.#parts.clear();
    for (let number = 1; number <= upload.part_count; number += 1) {
      const start = (number - 1) * upload.part_size;
      if (!missing.has(number)) this.#parts.set(number, Math.min(upload.part_size, upload.size - start));
    }
    this.speed = new Speed();
    this.speed.note(this.sent);
    this.change({ upload, tried: false });
  }

  /** @param {number} number @param {number} bytes of it that have gone out */
  partSent(number, bytes) {
    this.#parts.set(number, bytes);
    this.speed.note(this.sent);
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Partial<Item>} values */
  change(values) {
    const before = this.state;
    Object.assign(this, values);
    if (this.state !== before) this.dispatchEvent(new Event("state"));
    this.dispatchEvent(new Event("change"));
  }
}
