// The ways to give files: the button, drop anywhere on the page, paste.

/**
 * @param {HTMLFormElement} form
 * @param {HTMLInputElement} input
 * @param {(files: File[]) => void} take
 */
export function takeFiles(form, input, take) {
  input.addEventListener("change", () => {
    const files = [...input.files];
    // Emptied, so that the same file can be chosen again.
    input.value = "";
    if (files.length) take(files);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  takeDrops(form, take);
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files || [])];
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });
}

/** @param {HTMLElement} form shows that the page takes the files @param {(files: File[]) => void} take */
function takeDrops(form, take) {
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  // Each element under the pointer has its own enter and leave: the page is left when as many left as were entered.
  let depth = 0;
  const show = (isOver) => form.classList.toggle("is-dragged-over", isOver);

  document.addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth += 1;
    show(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (!hasFiles(event)) return;
    depth = Math.max(0, depth - 1);
    show(depth > 0);
  });
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  document.addEventListener("drop", (event) => {
    depth = 0;
    show(false);
    if (!hasFiles(event)) return;
    // Without this the browser leaves the page to show the file.
    event.preventDefault();
    const files = [...event.dataTransfer.files];
    if (files.length) take(files);
  });
}
