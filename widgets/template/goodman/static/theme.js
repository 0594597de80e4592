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

  const keep = (theme) => {
    try { localStorage.setItem(KEY, theme); } catch { /* a private window keeps nothing */ }
  };

  // Who reads, as the service told a page's kernel: name, staff items, the account's own theme.
  window.goodmanReader = ({ name, staff, theme }) => {
    root.toggleAttribute("data-gl-staff", Boolean(staff));
    try { sessionStorage.setItem("goodman-staff", staff ? "1" : ""); } catch { /* as above */ }
    const label = document.getElementById("gl-name");
    if (label && name) label.textContent = name;
    if ((theme === "dark" || theme === "light") && theme !== root.dataset.glTheme) {
      keep(theme);
      show(theme);
    }
  };

  // Voilà puts the cells at the end of the body, behind the footer: they are the page's content,
  // for the keyboard and for who listens to it too.
  new MutationObserver((_, drawn) => {
    const shell = document.querySelector("body > #main");
    if (!shell) return;
    drawn.disconnect();
    document.getElementById("gl-main").append(shell);
  }).observe(root, { childList: true, subtree: true });

  show(stored() || preferred());
  try { root.toggleAttribute("data-gl-staff", sessionStorage.getItem("goodman-staff") === "1"); } catch { /* as above */ }
  document.addEventListener("DOMContentLoaded", () => {
    show(root.dataset.glTheme);
    document.getElementById("gl-theme")?.addEventListener("click", () => {
      const next = root.dataset.glTheme === "dark" ? "light" : "dark";
      keep(next);
      show(next);
      // The page's kernel, where there is one, keeps it with the account.
      dispatchEvent(new CustomEvent("goodman-theme", { detail: next }));
    });
  });
  // A page that the browser kept aside, for Back, lost its kernel when it was left.
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  // Another tab of the same reader follows.
  addEventListener("storage", (event) => { if (event.key === KEY && event.newValue) show(event.newValue); });
})();
