// Pages that htmx polls: no request from a tab that nobody sees, and a line when the connection is lost.

function showOffline(lost) {
  for (const line of document.querySelectorAll("[data-live-offline]")) line.hidden = !lost;
}

document.addEventListener("htmx:beforeRequest", (event) => {
  const polls = event.detail.elt.getAttribute("hx-trigger")?.startsWith("every");
  if (polls && document.hidden) event.preventDefault();
});
document.addEventListener("htmx:sendError", () => showOffline(true));
document.addEventListener("htmx:responseError", () => showOffline(true));
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) showOffline(false);
});
