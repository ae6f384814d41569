// <a href="/page-that-asks/" data-dialog="id">: opens the dialog in place of going to the page.
// Inside it, [data-dialog-close] closes it; Escape does so by itself, and focus goes back to the link.

export function listenForDialogs() {
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    const opener = event.target.closest("[data-dialog]");
    if (opener instanceof HTMLElement && opener.dataset.dialog) {
      const dialog = document.getElementById(opener.dataset.dialog);
      if (!(dialog instanceof HTMLDialogElement) || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      dialog.showModal();
      return;
    }
    const dialog = event.target.closest("dialog");
    // A click on the veil is a click on the dialog element itself, outside its contents.
    if (dialog && (event.target.closest("[data-dialog-close]") || isOutside(dialog, event))) dialog.close();
  });
}

/** @param {HTMLDialogElement} dialog @param {MouseEvent} event */
function isOutside(dialog, event) {
  if (event.target !== dialog) return false;
  const box = dialog.getBoundingClientRect();
  return (
    event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom
  );
}
