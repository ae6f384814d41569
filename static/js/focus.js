// Focus is not lost when the part of the page that had it is swapped: htmx keeps it where the same id comes back;
// else it goes to the nearest place that is still there.

/** @type {string[]} */
let trail = [];

export function keepFocus() {
  document.body.addEventListener("htmx:beforeSwap", () => {
    trail = idsAround(document.activeElement);
  });
  document.body.addEventListener("htmx:afterSettle", () => {
    if (document.activeElement && document.activeElement !== document.body) return;
    const place = trail.map((id) => document.getElementById(id)).find((element) => element !== null);
    trail = [];
    if (place) focusOn(place);
  });
}

/** The ids of an element and of what holds it, inside out. @param {Element | null} element */
function idsAround(element) {
  const ids = [];
  for (let each = element; each && each !== document.body; each = each.parentElement) {
    if (each.id) ids.push(each.id);
  }
  return ids;
}

/** @param {HTMLElement} place */
function focusOn(place) {
  const target = place.matches("a[href], button, input, summary") ? place : place.querySelector("[data-focus-here]") ?? place;
  if (!(target instanceof HTMLElement)) return;
  if (!target.matches("a[href], button, input, summary, [tabindex]")) target.tabIndex = -1;
  target.focus({ preventScroll: true });
}
