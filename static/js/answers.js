// What htmx does with answers that are errors, and what it proves itself with.

export function heedAnswers() {
  // Only our own errors say where they belong: a proxy's error page must not take a part of the page's place.
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (xhr.status < 400 || !xhr.getResponseHeader("HX-Retarget")) return;
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  });
  // After signing in again in another tab the page's own tokens are too old, the cookie's is not.
  document.body.addEventListener("htmx:configRequest", (event) => {
    const token = cookieToken();
    if (!token) return;
    event.detail.headers["X-CSRFToken"] = token;
    delete event.detail.parameters.csrfmiddlewaretoken;
  });
}

function cookieToken() {
  // Under https the name has a prefix.
  const cookie = document.cookie.split("; ").find((pair) => /^(__Host-)?csrftoken=/.test(pair));
  return cookie ? decodeURIComponent(cookie.slice(cookie.indexOf("=") + 1)) : "";
}
