// A card changes in place under the pointer: the second click of a double click must not press the button that the
// first one brought there (Cancel becomes Try again).

export function ignoreSecondClicks() {
  document.addEventListener(
    "click",
    (event) => {
      if (event.detail < 2 || !(event.target instanceof Element) || !event.target.closest(".template-actions button")) return;
      event.preventDefault();
      event.stopPropagation();
    },
    true,
  );
}
