// <time datetime="…">: shown in the reader's own zone and language; the whole date and zone stay in the title.

const SHORT = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
const LONG = { dateStyle: "long", timeStyle: "medium" };

export function localTimes() {
  show(document);
  document.body.addEventListener("htmx:load", (event) => {
    if (event.target instanceof Element) show(event.target);
  });
}

/** @param {Document | Element} root */
function show(root) {
  const language = document.documentElement.lang || undefined;
  const thisYear = new Date().getFullYear();
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    const year = moment.getFullYear() === thisYear ? {} : { year: "numeric" };
    time.textContent = new Intl.DateTimeFormat(language, { ...SHORT, ...year }).format(moment);
    time.title = new Intl.DateTimeFormat(language, LONG).format(moment);
  }
}
