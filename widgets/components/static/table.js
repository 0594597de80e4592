// A table with filters above it and pages below: search, logs, what waits.
function render({ model, el }) {
  el.classList.add("gl-tablepage");
  const title = h("h1", { class: "gl-title" });
  const form = h("form", { class: "gl-filters", role: "search" });
  const head = h("tr");
  const body = h("tbody");
  const table = h("table", {}, h("thead", {}, head), body);
  const note = h("p", { class: "gl-note", role: "status" });
  const pager = h("div", { class: "gl-pager" });
  el.append(title, form, note, h("div", { class: "gl-scroll gl-tall", tabindex: "0", "aria-label": "Table" }, table), pager);

  let typing = 0;
  function tell() {
    const chosen = {};
    for (const field of form.querySelectorAll("[name]")) if (field.value.trim()) chosen[field.name] = field.value.trim();
    model.send({ what: "filters", value: chosen });
  }
  form.addEventListener("submit", (event) => { event.preventDefault(); tell(); });
  form.addEventListener("change", tell);
  form.addEventListener("input", (event) => {
    if (event.target.type === "search") { clearTimeout(typing); typing = setTimeout(tell, 300); }
  });

  function input(field) {
    if (field.kind === "choice") {
      return h("select", { name: field.key }, h("option", { value: "" }, field.any || "any"),
        field.options.map((one) => h("option", { value: one.value }, one.label)));
    }
    return h("input", { name: field.key, type: field.kind === "date" ? "date" : "search", placeholder: field.hint || null });
  }

  redraw(model, ["title"], () => { title.textContent = model.get("title"); });
  redraw(model, ["fields"], () => {
    // What the reader has chosen stays when the choices are read again.
    const kept = new Map([...form.querySelectorAll("[name]")].map((field) => [field.name, field.value]));
    form.replaceChildren(...model.get("fields").map((field) => h("label", {}, h("small", {}, field.label), input(field))));
    for (const field of form.querySelectorAll("[name]")) if (kept.get(field.name)) field.value = kept.get(field.name);
    form.hidden = !model.get("fields").length;
  });
  redraw(model, ["columns", "rows"], () => {
    head.replaceChildren(...model.get("columns").map((column) => h("th", { scope: "col" }, column.label)));
    body.replaceChildren(...model.get("rows").map((row) => h("tr", { class: row.tone ? "gl-row-" + row.tone : null },
      model.get("columns").map((column, index) => {
        const text = row[column.key] === null || row[column.key] === undefined ? "" : String(row[column.key]);
        // The address is a number of ours behind a page of ours, never a string from outside.
        const link = index === 0 && Number.isInteger(row.file) && row.file > 0;
        return h("td", { class: column.tone && row.tone ? "gl-" + row.tone : null },
          link ? h("a", { href: "data.ipynb?file=" + row.file }, text) : text);
      }))));
  });
  redraw(model, ["message"], () => { note.textContent = model.get("message"); note.hidden = !model.get("message"); });
  redraw(model, ["page", "pages", "count"], () => {
    const page = model.get("page");
    const pages = model.get("pages");
    pager.replaceChildren(
      h("button", { type: "button", "aria-label": "Previous page", disabled: page <= 1, onclick: () => model.send({ what: "page", value: page - 1 }) }, "‹"),
      h("span", {}, model.get("count").toLocaleString("en") + " in all, page " + page + " of " + pages),
      h("button", { type: "button", "aria-label": "Next page", disabled: page >= pages, onclick: () => model.send({ what: "page", value: page + 1 }) }, "›"));
  });
}
export default { render };
