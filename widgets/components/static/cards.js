// The FITS header: folded until asked for, then a table that can be searched.
function render({ model, el }) {
  el.classList.add("gl-cards");
  const toggle = h("button", { type: "button", class: "gl-fold", "aria-expanded": "false" });
  const search = h("input", {
    type: "search", class: "gl-filter", placeholder: "Search keyword, value or comment", "aria-label": "Search the header",
  });
  const count = h("span", { class: "gl-muted", role: "status" });
  const body = h("tbody");
  const table = h("div", { class: "gl-scroll", tabindex: "0", "aria-label": "Header cards" }, h("table", {},
    h("thead", {}, h("tr", {}, ["Keyword", "Value", "Comment"].map((name) => h("th", { scope: "col" }, name)))), body));
  const panel = h("div", { class: "gl-panel" }, h("div", { class: "gl-line" }, search, count), table);
  el.append(toggle, panel);

  toggle.addEventListener("click", () => {
    model.set("unfolded", !model.get("unfolded"));
    model.save_changes();
  });

  function drawCards() {
    const words = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const cards = model.get("cards").filter((card) => {
      const text = (card.keyword + " " + card.value + " " + card.comment).toLowerCase();
      return words.every((word) => text.includes(word));
    });
    body.replaceChildren(...cards.map((card) => h("tr", { class: card.reason ? "gl-mended" : null },
      h("th", { scope: "row" }, card.keyword),
      h("td", {}, card.value, card.reason ? h("small", {}, "was " + (card.found || "missing") + ": " + card.reason) : null),
      h("td", {}, card.comment))));
    count.textContent = model.get("message") || cards.length + " of " + model.get("cards").length + " cards";
  }

  search.addEventListener("input", drawCards);
  redraw(model, ["unfolded", "name"], () => {
    const open = model.get("unfolded");
    toggle.setAttribute("aria-expanded", String(open));
    toggle.replaceChildren(h("span", { "aria-hidden": "true" }, open ? "▾" : "▸"), h("span", {}, "Header"), h("em", {}, model.get("name")));
    panel.hidden = !open;
  });
  redraw(model, ["cards", "message"], drawCards);
}
export default { render };
