// A table: filters above, sortable columns, rows that can be chosen, unfolded and acted on, pages.
function render({ model, el }) {
  el.classList.add("gl-card", "gl-tablepage");
  const title = h("h2", { class: "gl-title" });
  const count = h("span", { class: "gl-count" });
  const form = h("form", { class: "gl-filters", role: "search" });
  const tools = h("div", { class: "gl-tools" });
  const sure = h("div", { class: "gl-sure", role: "alertdialog", "aria-label": "Confirm", hidden: true });
  // The roles are written out: narrow screens lay rows out as blocks, and would lose the table.
  const head = h("tr", { role: "row" });
  const body = h("tbody", { role: "rowgroup" });
  const table = h("table", { role: "table" }, h("thead", { role: "rowgroup" }, head), body);
  const scroll = h("div", { class: "gl-scroll gl-tall", tabindex: "0", role: "region" }, table);
  const note = h("p", { class: "gl-note", role: "status" });
  const pager = h("div", { class: "gl-pager" });
  el.append(h("div", { class: "gl-tablehead" }, h("div", { class: "gl-titleline" }, title, count), tools), form, sure, note, scroll, pager);
  const send = (what, value) => model.send({ what, value });
  const open = new Set();
  let choosing = false;

  let typing = 0;
  function tell() {
    const chosen = {};
    for (const field of form.querySelectorAll("[name]")) if (field.value.trim()) chosen[field.name] = field.value.trim();
    send("filters", chosen);
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
    return h("input", { name: field.key, type: field.kind === "date" ? "date" : "search", placeholder: field.hint || null, spellcheck: "false" });
  }
  redraw(model, ["title"], () => {
    // What was asked was of the rows of another title.
    if (title.textContent !== model.get("title")) sure.hidden = true;
    title.textContent = model.get("title");
    title.hidden = !model.get("title");
    scroll.setAttribute("aria-label", model.get("title") || "Table");
    form.setAttribute("aria-label", "Filter: " + (model.get("title") || "table"));
  });
  redraw(model, ["fields", "chosen"], () => {
    // What the reader has typed stays when the choices are read again.
    const kept = new Map([...form.querySelectorAll("[name]")].map((field) => [field.name, field.value]));
    const focus = form.contains(document.activeElement) ? document.activeElement.name : null;
    form.replaceChildren(...model.get("fields").map((field) => h("label", {}, h("small", {}, field.label), input(field))));
    for (const field of form.querySelectorAll("[name]")) field.value = kept.get(field.name) ?? model.get("chosen")[field.name] ?? "";
    if (focus) form.querySelector(`[name="${focus}"]`)?.focus();
    form.hidden = !model.get("fields").length;
  });

  // Addresses are made of our own pages and of numbers; a string from outside cannot become one.
  const safe = (href) => /^([a-z]+\.ipynb(\?[\w=&%.~+-]*)?|\/[\w\/.?=&%~+-]*)$/.test(href || "") && !href.startsWith("//") ? href : null;
  // Tools lead to the service too, which is another host where users' servers have their own.
  const reach = (href) => safe(href) || (/^https?:\/\/[\w.:-]+\/[\w\/.?=&%~+-]*$/.test(href || "") ? href : null);

  function ask(row, action) {
    const close = () => { sure.hidden = true; };
    const keep = h("button", { type: "button", onclick: close }, "Keep as it is");
    sure.replaceChildren(h("p", {}, action.confirm), h("div", {},
      h("button", { type: "button", class: action.danger ? "gl-danger" : "gl-main", onclick: () => { close(); send("act", { key: action.key, row: row.key }); } }, action.label), keep));
    sure.hidden = false;
    keep.focus();
    sure.scrollIntoView({ block: "nearest" });
  }
  sure.addEventListener("keydown", (event) => { if (event.key === "Escape") sure.hidden = true; });

  function act(row, action) {
    const href = safe(action.href);
    const name = action.label + (row.name ? " " + row.name : "");
    if (href) return h("a", { class: "gl-act", href, "data-act": action.key || null, "aria-label": name }, action.label);
    return h("button", {
      type: "button", class: "gl-act" + (action.danger ? " gl-act-danger" : ""), "data-act": action.key, "aria-label": name,
      "aria-disabled": action.reason ? "true" : null, title: action.reason || null,
      onclick: () => {
        if (action.reason) return;
        if (action.confirm) ask(row, action);
        else send("act", { key: action.key, row: row.key });
      },
    }, action.label);
  }
  // Names of files and set-ups are long words: where a column is narrow, they break at their joints.
  const parts = (text) => text.split(/(?<=_)/).flatMap((part, place) => (place ? [h("wbr"), part] : [part]));
  function cell(row, column) {
    const value = row[column.key];
    if (column.key === "actions") return h("td", { role: "cell", class: "gl-acts" }, (value || []).map((one) => act(row, one)));
    const text = value === null || value === undefined ? "" : String(value);
    const href = column.link ? safe(row[column.link]) : null;
    const tone = column.tone && row[column.tone] ? "gl-" + row[column.tone] : "";
    const kind = column.kind ? " gl-cell-" + column.kind : "";
    return h("td", { role: "cell", class: (tone + kind).trim() || null, title: column.kind === "file" || text.length > 30 ? text : null, "data-label": column.label },
      href ? h("a", { href }, parts(text)) : parts(text));
  }
  function drawHead() {
    const order = model.get("ordering");
    const columns = model.get("columns");
    const rows = model.get("rows");
    const picked = new Set(model.get("picked"));
    const all = rows.length > 0 && rows.every((row) => picked.has(row.key));
    renew(head, JSON.stringify([order, columns, model.get("selectable"), all]), () => {
      const cells = columns.map((column) => {
        const name = order.replace("-", "");
        const on = column.sort && column.sort === name;
        const down = order.startsWith("-");
        if (!column.sort) return h("th", { role: "columnheader", scope: "col" }, column.key === "actions" ? h("span", { class: "gl-hidden" }, "Actions") : column.label);
        return h("th", { role: "columnheader", scope: "col", "aria-sort": on ? (down ? "descending" : "ascending") : "none" },
          h("button", { type: "button", class: "gl-sort", onclick: () => send("sort", on && down ? column.sort : "-" + column.sort) },
            column.label, h("span", { "aria-hidden": "true" }, on ? (down ? " ▾" : " ▴") : "")));
      });
      if (model.get("selectable")) {
        cells.unshift(h("th", { role: "columnheader", scope: "col", class: "gl-pick" }, h("input", {
          type: "checkbox", "aria-label": "Choose all rows of this page", checked: all,
          onchange: (event) => send("pick", { keys: model.get("rows").map((row) => row.key), on: event.target.checked }),
        })));
      }
      return cells;
    });
  }
  function lineCells(row) {
    const cells = model.get("columns").map((column) => cell(row, column));
    if (row.more) {
      const on = open.has(row.key);
      cells[0].prepend(h("button", { type: "button", class: "gl-unfold", "aria-expanded": String(on), "aria-label": "More about " + (row.name || row.key), onclick: () => {
        if (on) open.delete(row.key); else open.add(row.key);
        drawRows();
      } }, on ? "▾" : "▸"));
    }
    if (model.get("selectable")) {
      cells.unshift(h("td", { role: "cell", class: "gl-pick" }, h("input", {
        type: "checkbox", "aria-label": "Choose " + (row.name || row.key),
        onchange: (event) => send("pick", { keys: [row.key], on: event.target.checked }),
      })));
    }
    return cells;
  }
  function drawRows() {
    const shape = JSON.stringify([model.get("columns"), model.get("selectable")]);
    const picked = new Set(model.get("picked"));
    const seen = new Map();
    const items = model.get("rows").flatMap((row) => {
      // A list may name a row twice: each is a line of its own.
      const turn = (seen.get(row.key) || 0) + 1;
      seen.set(row.key, turn);
      const line = { key: turn + " " + row.key, row };
      return row.more ? [line, { key: "more " + line.key, row, more: true }] : [line];
    });
    fill(body, items, (item) => item.key, () => h("tr", { role: "row" }), (node, { row, more }) => {
      if (more) {
        node.className = "gl-more-row";
        node.hidden = !open.has(row.key);
        const span = model.get("columns").length + (model.get("selectable") ? 1 : 0);
        renew(node, span + row.more, () => [h("td", { role: "cell", colspan: String(span) }, h("p", {}, row.more))]);
        return;
      }
      node.dataset.row = row.key;
      node.className = [row.tone ? "gl-row-" + row.tone : "", picked.has(row.key) ? "gl-picked" : ""].join(" ").trim();
      renew(node, shape + open.has(row.key) + JSON.stringify(row), () => lineCells(row));
      const box = node.querySelector(".gl-pick input");
      if (box) box.checked = picked.has(row.key);
    });
    scroll.hidden = !items.length;
    drawHead();
  }
  redraw(model, ["columns", "rows", "ordering", "picked", "selectable"], drawRows);
  redraw(model, ["message", "state"], () => {
    note.textContent = model.get("message");
    note.hidden = !model.get("message");
    el.setAttribute("aria-busy", String(model.get("state") === "loading"));
    note.className = "gl-note" + (model.get("state") === "empty" ? " gl-empty" : model.get("state") === "failed" ? " gl-bad" : "");
  });
  redraw(model, ["tools", "optional"], () => {
    const optional = model.get("optional");
    renew(tools, JSON.stringify([model.get("tools"), optional]), () => [...model.get("tools").map((one) => reach(one.href)
      ? h("a", { class: "gl-button", href: reach(one.href), target: one.tab ? "_blank" : null, rel: "noopener", "data-act": one.key }, one.label)
      : h("button", { type: "button", class: one.main ? "gl-main" : null, "data-act": one.key, "aria-pressed": one.on === undefined ? null : String(one.on),
        "aria-disabled": one.reason ? "true" : null, title: one.reason || null, onclick: () => { if (!one.reason) send("tool", one.key); } }, one.label)),
    // Several columns may be chosen one after the other.
    optional.length ? h("details", { class: "gl-columnsmenu", open: choosing, ontoggle: (event) => { choosing = event.target.open; } }, h("summary", {}, "Columns"), h("div", { role: "group", "aria-label": "Columns" },
      optional.map((one) => h("label", {}, h("input", { type: "checkbox", checked: one.on, onchange: (event) => send("column", { key: one.key, on: event.target.checked }) }), " " + one.label)))) : ""]);
    tools.hidden = !model.get("tools").length && !optional.length;
  });
  redraw(model, ["page", "pages", "count"], () => {
    const page = model.get("page");
    const pages = model.get("pages");
    count.textContent = model.get("count").toLocaleString("en");
    count.hidden = !model.get("count") || !model.get("title");
    pager.hidden = pages < 2;
    renew(pager, page + " of " + pages, () => [
      h("button", { type: "button", "aria-label": "First page", disabled: page <= 1, onclick: () => send("page", 1) }, "«"),
      h("button", { type: "button", "aria-label": "Previous page", disabled: page <= 1, onclick: () => send("page", page - 1) }, "‹"),
      h("span", {}, "page"),
      h("input", { type: "number", min: "1", max: String(pages), value: String(page), "aria-label": "Page", title: "Jump to a page", onchange: (event) => {
        const wanted = Math.round(Number(event.target.value));
        if (wanted >= 1) send("page", Math.min(wanted, pages));
      } }),
      h("span", {}, "of " + pages.toLocaleString("en")),
      h("button", { type: "button", "aria-label": "Next page", disabled: page >= pages, onclick: () => send("page", page + 1) }, "›"),
      h("button", { type: "button", "aria-label": "Last page", disabled: page >= pages, onclick: () => send("page", pages) }, "»")]);
  });
}
export default { render };
