// Light or dark: what the reader chose last, else what the system prefers. Runs before the first
// paint, so that a dark page never flashes white.
(function () {
  const KEY = "goodman-theme";
  const root = document.documentElement;
  const stored = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const preferred = () => (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");

  function show(theme) {
    root.dataset.glTheme = theme;
    const button = document.getElementById("gl-theme");
    if (button) {
      button.setAttribute("aria-pressed", String(theme === "dark"));
      button.querySelector("span").textContent = theme === "dark" ? "Dark" : "Light";
      button.title = theme === "dark" ? "Change to the light theme" : "Change to the dark theme";
    }
    if (document.body) document.body.dataset.jpThemeLight = String(theme === "light");
  }

  show(stored() || preferred());
  document.addEventListener("DOMContentLoaded", () => {
    show(root.dataset.glTheme);
    document.getElementById("gl-theme")?.addEventListener("click", () => {
      const next = root.dataset.glTheme === "dark" ? "light" : "dark";
      try { localStorage.setItem(KEY, next); } catch { /* a private window keeps nothing */ }
      show(next);
    });
  });
  // Another tab of the same reader follows.
  addEventListener("storage", (event) => { if (event.key === KEY && event.newValue) show(event.newValue); });
})();
