// Times in the zone of the person who reads: the server wrote them in its own.

const format = new Intl.DateTimeFormat(document.documentElement.lang || "en", {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});

function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    time.textContent = format.format(moment);
    time.title = moment.toLocaleString(document.documentElement.lang || "en");
  }
}

document.addEventListener("htmx:load", (event) => localise(event.detail.elt.parentElement ?? document));
localise(document);
