// Draws the items. The focus is never lost: when its button goes, the next useful one in the list has it.

import { WITH_PROGRESS } from "./item.js";
import { amountWords, iconOf, progressWords, stateWords } from "./state_words.js";
import { SignedOut } from "./problems.js";
import { fill, gettext } from "./words.js";
import { formatBytes } from "./format.js";

const TICK_MS = 1000;
const BUTTONS = {
  pause: new Set(["waiting", "sending"]),
  resume: new Set(["paused"]),
  retry: new Set(["failed"]),
  finish: new Set(["unfinished"]),
  choose: new Set(["unfinished", "failed"]),
  cancel: new Set(["queued", "checking", "waiting", "sending", "paused", "failed", "unfinished"]),
  remove: new Set(["refused"]),
};

/** @param {import("./item.js").Item} item @param {string} action */
function canDo(item, action) {
  if (!BUTTONS[action].has(item.state)) return false;
  if (action === "finish") return item.isWhole;
  if (action === "retry") return !item.needsFile;
  if (action === "choose") return item.state !== "failed" || item.needsFile;
  return true;
}

const labels = () => ({
  pause: gettext("Pause %(name)s"),
  resume: gettext("Continue %(name)s"),
  retry: gettext("Try %(name)s again"),
  finish: gettext("Finish %(name)s"),
  choose: gettext("Choose the file %(name)s"),
  cancel: gettext("Cancel %(name)s"),
  remove: gettext("Remove %(name)s from the list"),
});

/** One item's element, kept as the item changes. */
class ItemView {
  #shown = "";
  #pending = 0;

  /**
   * @param {import("./item.js").Item} item
   * @param {HTMLTemplateElement} template
   * @param {{icons: string, signIn: string, actions: Record<string, (item: object) => void>}} options
   */
  constructor(item, template, { icons, signIn, actions }) {
    this.item = item;
    this.icons = icons;
    this.signIn = signIn;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.part = (name) => this.element.querySelector(`[data-part=${name}]`);
    for (const [name, act] of Object.entries(actions)) {
      this.button(name).addEventListener("click", () => act(item));
    }
    item.addEventListener("change", () => this.#soon());
    this.draw();
  }

  button(name) {
    return this.element.querySelector(`[data-action=${name}]`);
  }

  /** Once a frame, however many parts move. */
  #soon() {
    if (this.#pending) return;
    this.#pending = requestAnimationFrame(() => {
      this.#pending = 0;
      this.draw();
    });
  }

  draw() {
    const { item } = this;
    this.element.dataset.state = item.state;
    setText(this.part("name"), item.name);
    setText(this.part("state"), stateWords(item));
    this.part("icon").setAttribute("href", `${this.icons}#${iconOf(item)}`);
    this.#drawPicture();
    this.#drawProgress();
    this.#drawProblem();
    this.#drawButtons();
  }

  #drawPicture() {
    const picture = this.part("picture");
    if (this.item.poster && picture.getAttribute("src") !== this.item.poster) picture.src = this.item.poster;
    picture.hidden = !this.item.poster;
  }

  #drawProgress() {
    const { item } = this;
    // Before a byte has gone there is nothing to measure.
    const isShown = WITH_PROGRESS.has(item.state) && item.upload !== null;
    const bar = this.part("progress");
    bar.hidden = !isShown;
    // The amount tells the size too.
    setText(this.part("size"), isShown ? "" : formatBytes(item.size));
    setText(this.part("amount"), isShown ? amountWords(item) : "");
    if (!isShown) return;
    bar.setAttribute("aria-label", item.name);
    bar.setAttribute("aria-valuenow", String(item.percent));
    bar.setAttribute("aria-valuetext", progressWords(item));
    this.part("bar").style.inlineSize = `${item.percent}%`;
  }

  #drawProblem() {
    const { item } = this;
    const box = this.part("problem");
    const content = [];
    if (item.state === "refused") for (const finding of item.findings) content.push(...findingLines(finding));
    if (item.state === "failed" && item.problem) {
      content.push(line("trouble-what", item.problem.text));
      if (item.problem instanceof SignedOut) content.push(this.#signInLink());
    }
    const shown = content.map((node) => node.textContent).join("\n");
    if (shown === this.#shown) return;
    this.#shown = shown;
    box.replaceChildren(...content);
    box.hidden = !content.length;
  }

  #signInLink() {
    const link = document.createElement("a");
    link.href = this.signIn;
    link.target = "_blank";
    link.textContent = gettext("Sign in in a new tab");
    return link;
  }

  #drawButtons() {
    const hadFocus = this.element.contains(document.activeElement);
    const texts = labels();
    for (const name of Object.keys(BUTTONS)) {
      const button = this.button(name);
      button.hidden = !canDo(this.item, name);
      button.setAttribute("aria-label", fill(texts[name], { name: this.item.name }));
    }
    const isLost = hadFocus && (document.activeElement === document.body || document.activeElement.hidden);
    if (isLost) this.focus();
  }

  /** The first thing that can be done with it, else the item itself. */
  focus() {
    (this.element.querySelector("button:not([hidden])") || this.element).focus();
  }
}

/** @param {{what: string, fix: string}} finding */
function findingLines({ what, fix }) {
  return [line("trouble-what", what), line("", fix)].filter((node) => node.textContent);
}

function line(className, text) {
  const node = document.createElement("p");
  node.className = className;
  node.textContent = text;
  return node;
}

/** Without a change there is nothing for a screen reader to notice. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Keep the list element true to the queue.
 * @param {import("./queue.js").Queue} queue
 * @param {{list: HTMLElement, template: HTMLTemplateElement, fallbackFocus: HTMLElement, icons: string, signIn: string,
 *   actions: Record<string, (item: object) => void>}} options
 */
export function showItems(queue, { list, template, fallbackFocus, ...options }) {
  /** @type {Map<import("./item.js").Item, ItemView>} */
  const views = new Map();

  queue.addEventListener("added", ({ detail: item }) => {
    const view = new ItemView(item, template, options);
    views.set(item, view);
    list.append(view.element);
    list.hidden = false;
  });

  queue.addEventListener("removed", ({ detail: item }) => {
    const { element } = views.get(item);
    const hadFocus = element.contains(document.activeElement);
    const neighbour = element.nextElementSibling || element.previousElementSibling;
    views.delete(item);
    element.remove();
    list.hidden = views.size === 0;
    if (!hadFocus) return;
    const next = [...views.values()].find((view) => view.element === neighbour);
    if (next) next.focus();
    else fallbackFocus.focus();
  });

  queue.addEventListener("duplicate", ({ detail: item }) => {
    const { element } = views.get(item);
    element.scrollIntoView({ block: "nearest" });
    element.classList.add("is-pointed-at");
    element.addEventListener("animationend", () => element.classList.remove("is-pointed-at"), { once: true });
  });

  // Speed and time left change also while no byte moves.
  setInterval(() => {
    for (const view of views.values()) if (view.item.state === "sending") view.draw();
  }, TICK_MS);
}
