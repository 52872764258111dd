// What every page has: the switch of colours, menus that close, forms that are sent once.

const THEMES = ["system", "light", "dark"];

function storedTheme() {
  try {
    const theme = localStorage.getItem("theme");
    if (THEMES.includes(theme)) return theme;
  } catch {
    // No storage: what the server rendered counts.
  }
  return document.documentElement.dataset.theme ?? "system";
}

function showTheme(button, theme) {
  button.setAttribute("aria-label", button.dataset[theme]);
  button.title = button.dataset[theme];
  for (const icon of button.querySelectorAll("[data-icon]")) icon.hidden = icon.dataset.icon !== theme;
}

function chooseTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const age = theme === "system" ? 0 : 365 * 24 * 3600;
  document.cookie = `theme=${theme}; path=/; max-age=${age}; samesite=lax`;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // No storage: the cookie keeps it.
  }
  document.dispatchEvent(new CustomEvent("themechange", { detail: { theme } }));
}

const themeSwitch = document.getElementById("theme-switch");
let theme = storedTheme();
showTheme(themeSwitch, theme);
themeSwitch.addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  chooseTheme(theme);
  showTheme(themeSwitch, theme);
});

// A menu closes when one clicks elsewhere or presses Escape.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// On a phone the project's navigation is wider than the screen: show where one is.
document.querySelector(".project-nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// A form is sent once, however often its button is pressed. Downloads and htmx forms are left alone.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.matches("[hx-post], [data-repeatable]")) return;
  if (event.submitter?.matches("[data-repeatable]")) return; // a button that downloads leaves the page open
  if (form.dataset.sent) event.preventDefault();
  else form.dataset.sent = "1";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// Selects that filter a list send their form when they change.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit-on-change]")) event.target.form.requestSubmit();
});

// A form with data-confirm asks in the place of its button: the first press changes the button's words,
// the second sends.
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-confirm]");
  if (!button || button.dataset.armed) return;
  event.preventDefault();
  const words = [...button.childNodes];
  button.dataset.armed = "1";
  button.textContent = button.dataset.confirm;
  const disarm = () => {
    delete button.dataset.armed;
    button.replaceChildren(...words);
  };
  button.addEventListener("blur", disarm, { once: true });
});
