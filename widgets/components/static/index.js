// The file index: sections with counts, rows newest first, paging, keyboard.
function render({ model, el }) {
  const send = (what, value) => model.send({ what, value });
  const list = h("div", { class: "gl-rows", role: "listbox", tabindex: "0", "aria-label": "Files" });
  const pager = h("div", { class: "gl-pager" });
  const sections = h("div", { class: "gl-sections", role: "tablist", "aria-label": "Kinds of files" });
  const filter = h("input", {
    class: "gl-filter", type: "search", placeholder: "Filter by name or object", "aria-label": "Filter files",
  });
  const news = h("button", { class: "gl-news", type: "button", hidden: true, onclick: () => send("page", 1) });
  const note = h("p", { class: "gl-note", role: "status" });
  el.classList.add("gl-index");
  const scope = h("p", { class: "gl-scope" });
  el.append(scope, sections, filter, news, list, note, pager);

  let known = null;
  let typing = 0;
  filter.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => send("filter", filter.value.trim()), 250);
  });

  function choose(id) {
    model.set("selected", id);
    model.save_changes();
  }

  function makeRow(file) {
    const fresh = known !== null && !known.has(file.id);
    return h("div", {
      class: "gl-row" + (fresh ? " gl-fresh" : ""),
      role: "option", id: "gl-row-" + file.id, "data-file": file.id, onclick: () => choose(file.id),
    });
  }

  function dressRow(node, file) {
    const chosen = file.id === model.get("selected");
    node.classList.toggle("gl-chosen", chosen);
    node.setAttribute("aria-selected", String(chosen));
    node.title = file.name;
    node.replaceChildren(
      h("span", { class: "gl-row-name" }, file.name.replace(/\.fits(\.fz|\.gz)?$/, "")),
      h("span", { class: "gl-row-facts" },
        h("span", {}, [file.obstype, file.object].filter(Boolean).join(" · ")),
        file.state ? h("span", { class: "gl-state gl-" + file.tone }, file.state) : null));
  }

  function drawRows() {
    const rows = model.get("rows");
    const active = model.get("selected");
    fill(list, rows, (file) => file.id, makeRow, dressRow);
    list.setAttribute("aria-busy", String(model.get("state") === "loading"));
    if (active) list.setAttribute("aria-activedescendant", "gl-row-" + active);
    known = new Set([...(known || []), ...rows.map((file) => file.id)]);
    if (model.get("state") === "loading" && !rows.length) known = null;
    note.textContent = model.get("message");
    note.hidden = !model.get("message");
    const count = model.get("unseen");
    news.hidden = !count;
    news.textContent = count === 1 ? "↑ 1 new frame" : "↑ " + count + " new frames";
  }

  function drawSections() {
    fill(sections, model.get("sections"), (section) => section.key,
      (section) => h("button", { type: "button", role: "tab", onclick: () => send("section", section.key) }),
      (node, section) => {
        node.setAttribute("aria-selected", String(section.key === model.get("section")));
        node.replaceChildren(h("span", {}, section.label), h("span", { class: "gl-count" }, section.count.toLocaleString("en")));
      });
  }

  function drawPager() {
    const page = model.get("page");
    const pages = model.get("pages");
    pager.hidden = pages < 2;
    const field = h("input", {
      type: "number", min: "1", max: String(pages), value: String(page), "aria-label": "Page", title: "Jump to a page",
      onchange: (event) => {
        const wanted = Math.round(Number(event.target.value));
        if (wanted >= 1) send("page", Math.min(wanted, pages));
      },
    });
    renew(pager, page + " of " + pages, () => [
      h("button", { type: "button", "aria-label": "Newer files", disabled: page <= 1, onclick: () => send("page", page - 1) }, "‹"),
      field, h("span", {}, "of " + pages.toLocaleString("en")),
      h("button", { type: "button", "aria-label": "Older files", disabled: page >= pages, onclick: () => send("page", page + 1) }, "›")]);
  }

  list.addEventListener("keydown", (event) => {
    const rows = model.get("rows");
    const here = rows.findIndex((file) => file.id === model.get("selected"));
    const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
    let next = null;
    if (step) next = here < 0 ? 0 : here + step;
    else if (event.key === "Home") next = 0;
    else if (event.key === "End") next = rows.length - 1;
    else if (event.key === "PageDown" && model.get("page") < model.get("pages")) send("page", model.get("page") + 1);
    else if (event.key === "PageUp" && model.get("page") > 1) send("page", model.get("page") - 1);
    else return;
    event.preventDefault();
    if (next !== null && rows[next]) {
      choose(rows[next].id);
      document.getElementById("gl-row-" + rows[next].id)?.scrollIntoView({ block: "nearest" });
    }
  });

  // The address always names what is shown: it can be bookmarked, sent, and reloaded.
  function drawAddress() {
    const id = model.get("shown");
    if (!id || !model.get("addressed")) return;
    const address = new URL(location.href);
    if (address.searchParams.get("file") === String(id)) return;
    address.searchParams.set("file", id);
    history.replaceState(history.state, "", address);
  }

  redraw(model, ["rows", "selected", "message", "state", "unseen"], drawRows);
  redraw(model, ["sections", "section"], drawSections);
  redraw(model, ["page", "pages"], drawPager);
  redraw(model, ["shown"], drawAddress);
  redraw(model, ["scope"], () => {
    scope.hidden = !model.get("scope");
    scope.replaceChildren(h("span", {}, model.get("scope")), h("a", { class: "gl-act", href: "data.ipynb" }, "All files"));
  });
}
export default { render };
