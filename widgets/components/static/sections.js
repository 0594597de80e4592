// The parts of a page, as tabs: keyboard as the ARIA practices say.
function render({ model, el }) {
  el.classList.add("gl-parts");
  const bar = h("div", { class: "gl-tabs", role: "tablist", "aria-label": model.get("label") });
  el.append(bar);
  const pick = (key) => model.send({ what: "section", value: key });
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const all = model.get("sections");
    const here = all.findIndex((one) => one.key === model.get("section"));
    if (!step || here < 0) return;
    event.preventDefault();
    pick(all[(here + step + all.length) % all.length].key);
  });
  redraw(model, ["sections", "section"], () => {
    const focused = bar.contains(document.activeElement);
    bar.replaceChildren(...model.get("sections").map((one) => {
      const on = one.key === model.get("section");
      return h("button", {
        type: "button", role: "tab", "aria-selected": String(on), tabindex: on ? "0" : "-1",
        "data-section": one.key, onclick: () => pick(one.key),
      }, one.label, Number.isInteger(one.count) ? h("span", { class: "gl-count" }, one.count.toLocaleString("en")) : null);
    }));
    el.hidden = model.get("sections").length < 2;
    if (focused) bar.querySelector('[aria-selected="true"]')?.focus();
  });
}
export default { render };
