// The newest frames and the picture that the page is about to show, before its kernel is up.
// Text from outside only ever becomes text nodes.
(async function () {
  const loading = document.getElementById("loading");
  const base = document.body.dataset.baseUrl.replace(/voila\/$/, "") + "goodman/";
  // Voilà takes away what is called so before the widgets are drawn; this stays until they are.
  loading.removeAttribute("id");
  // Rows, or the word that there are none, or what went wrong: then the page speaks for itself.
  const drawn = new MutationObserver(() => {
    const said = document.querySelectorAll(".gl-rows[aria-busy=false], .gl-row, .jp-RenderedText");
    if ([...said].some((node) => !loading.contains(node))) gone();
  });
  const gone = () => { drawn.disconnect(); loading.remove(); };
  drawn.observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["aria-busy"] });
  setTimeout(gone, 60000);
  // The server takes the cookie from a script only together with the token beside it.
  const token = document.cookie.split("; ").find((one) => one.startsWith("_xsrf="))?.slice(6) || "";
  const get = (path) => fetch(base + path, { credentials: "same-origin", headers: { "X-XSRFToken": decodeURIComponent(token) } });
  const text = (kind, name, words) => {
    const node = document.createElement(kind);
    node.className = name;
    node.textContent = words;
    return node;
  };
  try {
    const answer = await get("preview" + location.search);
    if (!answer.ok) return;
    const { rows, shown } = await answer.json();
    const side = loading.querySelector(".gl-bone-side");
    const main = loading.querySelector(".gl-bone-main");
    if (rows.length) {
      side.replaceChildren(...rows.map((row) => {
        const node = text("p", "gl-early-row", row.name.replace(/\.fits(\.fz|\.gz)?$/, ""));
        node.append(text("small", "", [row.obstype, row.object, row.state].filter(Boolean).join(" · ")));
        return node;
      }));
    }
    if (shown.id) {
      const picture = new Image();
      picture.className = "gl-early-picture";
      picture.alt = shown.title;
      const drawing = await get("preview.png?id=" + shown.id);
      if (!drawing.ok) return;
      picture.src = URL.createObjectURL(await drawing.blob());
      await picture.decode();
      main.replaceChildren(text("h1", "gl-title", shown.name), text("p", "", shown.title), picture);
    }
  } catch { /* the page itself says what is wrong */ }
})();
