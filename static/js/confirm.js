// <a href="/…/delete/" data-ask-delete data-name="…">: asks in a dialog in place of on the page that the link goes to.
// With data-swaps-gallery the answer takes the gallery's place and Undo gets the focus; else the form is sent plainly.

let swapsGallery = false;

export function listenForDialogs() {
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    const link = event.target.closest("[data-ask-delete]");
    if (link instanceof HTMLAnchorElement) {
      if (!event.ctrlKey && !event.metaKey && !event.shiftKey && ask(link)) event.preventDefault();
      return;
    }
    const dialog = event.target.closest("dialog");
    if (dialog && (event.target.closest("[data-dialog-close]") || isOnVeil(dialog, event))) dialog.close();
  });
  document.addEventListener("submit", (event) => {
    if (!(event.target instanceof HTMLFormElement) || event.target.id !== "delete-form" || !swapsGallery) return;
    event.preventDefault();
    deleteInPlace(event.target);
  });
}

/** @param {HTMLAnchorElement} link @returns {boolean} whether the dialog is there */
function ask(link) {
  const dialog = document.getElementById("delete-dialog");
  const form = document.getElementById("delete-form");
  const name = document.getElementById("delete-name");
  if (!(dialog instanceof HTMLDialogElement) || !(form instanceof HTMLFormElement) || !name) return false;
  form.action = link.href;
  name.textContent = link.dataset.name ?? "";
  swapsGallery = "swapsGallery" in link.dataset;
  dialog.showModal();
  return true;
}

/** @param {HTMLFormElement} form */
async function deleteInPlace(form) {
  form.closest("dialog")?.close();
  const { pathname } = new URL(form.action);
  await htmx.ajax("POST", pathname, { target: "#gallery", swap: "outerHTML" });
  const undo = document.querySelector("[data-undo]");
  if (!(undo instanceof HTMLElement)) return;
  // What was swapped in gets its hx- attributes a moment later; who presses Enter at once would load a whole page.
  htmx.process(undo.closest("form"));
  undo.focus({ preventScroll: true });
}

/** A click on the veil has the dialog as its target, outside the dialog's box.
 * @param {HTMLDialogElement} dialog @param {MouseEvent} event @returns {boolean} */
function isOnVeil(dialog, event) {
  if (event.target !== dialog || event.detail === 0) return false;
  const box = dialog.getBoundingClientRect();
  const inside =
    event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
  return !inside;
}
