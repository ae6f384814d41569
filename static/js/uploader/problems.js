// What can go wrong, as errors of their own, each with a text for people: what happened, and what to do.

import { gettext } from "./words.js";

/** Something that is said to the user as it stands. */
export class Problem extends Error {
  /** @param {string} text */
  constructor(text) {
    super(text);
    this.text = text;
  }
}

/** The server said no, in its own words. */
export class ServerProblem extends Problem {
  /**
   * @param {number} status
   * @param {{code?: string, text?: string, findings?: object[], missing?: number[]}} error
   */
  constructor(status, error) {
    super(error.text || gettext("The server could not do this. Try again in a moment."));
    this.status = status;
    this.code = error.code || "";
    this.findings = error.findings || [];
    this.missing = error.missing || [];
  }

  /** Another try may help. */
  get passes() {
    return this.status >= 500 || this.status === 429;
  }
}

/** No answer came at all. */
export class Unreachable extends Problem {
  constructor() {
    super(gettext("The server does not answer. What has been sent is kept: try again when the connection is back."));
  }
}

/** The session has ended. */
export class SignedOut extends Problem {
  constructor() {
    super(gettext("You are signed out. Sign in in another tab, then go on here: what has been sent is kept."));
  }
}

/** The server does not take the page's token. */
export class OutOfDate extends Problem {
  constructor() {
    super(gettext("This page is out of date. Reload it, then choose the file again: what has been sent is kept."));
  }
}

/** The file on the user's disk is gone, changed, or was a folder. */
export class Unreadable extends Problem {
  constructor() {
    super(
      gettext("The file cannot be read: it was moved, changed or is a folder. Choose it again."),
    );
  }
}

/** The storage does not know the upload any more. */
export class UploadGone extends Problem {
  constructor() {
    super(gettext("The unfinished upload was tidied away. Try again: the file will be sent from its beginning."));
  }
}

/**
 * A slice's bytes.
 * @param {Blob} slice
 * @returns {Promise<ArrayBuffer>}
 */
export async function bytesOf(slice) {
  try {
    return await slice.arrayBuffer();
  } catch (error) {
    throw new Unreadable();
  }
}
