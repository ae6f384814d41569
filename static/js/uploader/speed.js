// How fast bytes go out: the average of the last five seconds.

const WINDOW_MS = 5000;
const LEAST_MS = 500;

export class Speed {
  /** @type {Array<[number, number]>} [time in ms, bytes in all] */
  #seen = [];

  /** @param {number} bytes sent in all so far @param {number} now ms */
  note(bytes, now = performance.now()) {
    this.#seen.push([now, bytes]);
    // One sample older than the window stays: the average reaches back to its edge.
    while (this.#seen.length > 2 && this.#seen[1][0] < now - WINDOW_MS) this.#seen.shift();
  }

  /** Bytes a second, or null while it is too early to say. @param {number} now ms */
  value(now = performance.now()) {
    if (this.#seen.length < 2) return null;
    const [start, first] = this.#seen[0];
    const last = this.#seen[this.#seen.length - 1][1];
    const span = now - start;
    return span < LEAST_MS ? null : Math.max(0, ((last - first) * 1000) / span);
  }
}
