// Things of the admin's theme that only answer to a click (links without an address) answer to keys too.
document.addEventListener("DOMContentLoaded", () => {
  for (const thing of document.querySelectorAll("a:not([href]), span[x-on\\:click], div[x-on\\:click]")) {
    if (![...thing.attributes].some((attribute) => attribute.name.startsWith("x-on:click"))) continue;
    thing.tabIndex = 0;
    thing.setAttribute("role", "button");
    thing.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      thing.click();
    });
  }
});

// Landmarks that the theme leaves out: the page's main part, and a name for each part that scrolls.
addEventListener("load", () => {
  document.getElementById("main")?.setAttribute("role", "main");
  document.querySelectorAll(".simplebar-content-wrapper[role=region]").forEach((part, index) => {
    part.setAttribute("aria-label", `${part.getAttribute("aria-label")} ${index + 1}`);
  });
});
