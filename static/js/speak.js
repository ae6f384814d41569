// One polite live region for the whole page.

/** Have screen readers say `text` when they come to it.
 * @param {string} text */
export function speak(text) {
  const region = document.getElementById("spoken");
  if (!region) return;
  // The same words twice would not be a change, and so not be spoken.
  region.textContent = region.textContent === text ? `${text}\u00a0` : text;
}
