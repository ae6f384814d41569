// <details data-menu>: closes by Escape, by a click elsewhere, and when focus moves out of it.

export function listenForMenus() {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of openMenus()) {
      menu.open = false;
      if (menu.contains(document.activeElement)) menu.querySelector("summary")?.focus();
    }
  });
  document.addEventListener("click", (event) => closeOthers(event.target));
  document.addEventListener("focusin", (event) => closeOthers(event.target));
}

/** @returns {NodeListOf<HTMLDetailsElement>} */
function openMenus() {
  return document.querySelectorAll("details[data-menu][open]");
}

/** @param {EventTarget | null} target */
function closeOthers(target) {
  for (const menu of openMenus()) {
    if (!(target instanceof Node) || !menu.contains(target)) menu.open = false;
  }
}
