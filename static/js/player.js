// <video data-life-seconds="…">: its address works that long. Whoever plays or seeks later, or runs into an error, gets
// a fresh one, at the same place of the video.

// A share of the life: some of it is needed to read to the end.
const OLD_AFTER = 0.8;
// What goes wrong so soon after a fresh address is not the address's fault.
const NOT_AGAIN_MS = 5_000;

/** When each player's address was asked for; the first one with the page. @type {WeakMap<HTMLVideoElement, number>} */
const asked = new WeakMap();

export function renewPlayers() {
  const listen = (kind, mustRenew) =>
    // What happens to a video does not bubble.
    document.addEventListener(kind, (event) => {
      const video = event.target;
      if (video instanceof HTMLVideoElement && video.dataset.lifeSeconds && mustRenew(video)) renew(video);
    }, true);
  document.addEventListener("loadstart", (event) => {
    if (event.target instanceof HTMLVideoElement) asked.set(event.target, performance.now());
  }, true);
  for (const kind of ["play", "seeking", "stalled", "waiting"]) listen(kind, isOld);
  listen("error", (video) => age(video) > NOT_AGAIN_MS);
}

/** @param {HTMLVideoElement} video @returns {number} milliseconds */
function age(video) {
  return performance.now() - (asked.get(video) ?? 0);
}

/** @param {HTMLVideoElement} video */
function isOld(video) {
  return age(video) > Math.max(Number(video.dataset.lifeSeconds) * 1000 * OLD_AFTER, NOT_AGAIN_MS);
}

/** @param {HTMLVideoElement} video */
function renew(video) {
  const place = video.currentTime;
  const goesOn = !video.paused;
  // At once, not with "loadstart": what else happens until then must not begin it anew.
  asked.set(video, performance.now());
  video.addEventListener("loadedmetadata", () => {
    video.currentTime = place;
    // Refused where the browser wants a click first: then the reader clicks.
    if (goesOn) video.play().catch(() => {});
  }, { once: true });
  video.load();
}
