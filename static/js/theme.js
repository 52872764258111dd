// Before the first paint: the colours this person chose here. The server knows them from a cookie
// as well; this is for pages that come out of a cache.
(() => {
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // No storage (private window): the cookie and the system's choice are left.
  }
})();
