// Numbers and sentences at the top of a page: how it stands.
function render({ model, el }) {
  el.classList.add("gl-card", "gl-tiles");
  const title = h("h1", { class: "gl-title" });
  const line = h("div", { class: "gl-tileline" });
  const words = h("div", { class: "gl-tilewords", role: "status" });
  el.append(title, line, words);
  redraw(model, ["title", "tiles", "lines"], () => {
    title.textContent = model.get("title");
    line.replaceChildren(...model.get("tiles").map((tile) => {
      const inside = [h("b", { class: tile.tone ? "gl-" + tile.tone : null }, tile.value), h("small", {}, tile.label)];
      return tile.href && /^[a-z]+\.ipynb(\?[\w=&%.~+-]*)?$/.test(tile.href) ? h("a", { class: "gl-tile", href: tile.href }, inside) : h("div", { class: "gl-tile" }, inside);
    }));
    line.hidden = !model.get("tiles").length;
    words.replaceChildren(...model.get("lines").map((one) => h("p", { class: one.tone ? "gl-" + one.tone : null }, one.text)));
    words.hidden = !model.get("lines").length;
  });
}
export default { render };
