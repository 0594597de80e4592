// Proposals as a list that unfolds: id, PI, title; then people, abstract and counts.
function render({ model, el }) {
  el.classList.add("gl-card", "gl-proposals");
  const title = h("h2", { class: "gl-title" });
  const count = h("span", { class: "gl-count" });
  const tools = h("div", { class: "gl-tools" });
  const search = h("input", { type: "search", class: "gl-filter", placeholder: "Find by id, title or PI", "aria-label": "Find proposals", spellcheck: "false" });
  const list = h("ul", { class: "gl-proposallist" });
  const note = h("p", { class: "gl-note", role: "status" });
  const pager = h("div", { class: "gl-pager" });
  el.append(h("div", { class: "gl-tablehead" }, h("div", { class: "gl-titleline" }, title, count), tools), search, note, list, pager);
  const send = (what, value) => model.send({ what, value });
  let typing = 0;
  search.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => send("filters", search.value.trim() ? { search: search.value.trim() } : {}), 300); });

  function item(one) {
    const open = model.get("opened") === one.key;
    const id = "gl-proposal-" + one.key;
    const panel = h("div", { class: "gl-proposalmore", id, hidden: !open },
      h("h3", {}, one.title), h("p", { class: "gl-pi" }, one.pi ? "PI: " + one.pi : "No PI"),
      h("h4", {}, "Collaborators (" + one.people.length + ")"),
      one.people.length ? h("ul", {}, one.people.map((name) => h("li", {}, name))) : h("p", { class: "gl-muted" }, "None yet."),
      h("h4", {}, "Abstract"), h("p", { class: "gl-abstract" }, one.abstract),
      one.facts ? h("p", { class: "gl-muted" }, one.facts) : null);
    const head = h("button", { type: "button", class: "gl-proposalhead", "aria-expanded": String(open), "aria-controls": id, onclick: () => {
      model.set("opened", open ? 0 : one.key);
      model.save_changes();
    } }, h("span", { class: "gl-proposalline" }, h("b", { class: "gl-soar" }, one.soar_id), h("span", { class: "gl-pi" }, one.pi), one.news ? h("span", { class: "gl-new" }, one.news) : null),
    h("span", { class: "gl-proposaltitle" }, one.title));
    const link = (key, label, text, href) => h("a", { class: "gl-act", href, "data-act": key, "aria-label": label + " of " + one.soar_id, onclick: (event) => {
      // The links of this same page change it in place; a new tab still works.
      if (!model.get("inplace") || !["collaborators", "settings"].includes(key) || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      send("open", { key, row: one.key });
    } }, text);
    const key = encodeURIComponent(one.soar_id);
    return [h("div", { class: "gl-proposalrow" }, head, h("span", { class: "gl-acts" },
      link("data", "Data, as details,", "Data", "data.ipynb?proposal=" + key),
      link("table", "Data, as a table,", "Table", "search.ipynb?proposal_id=" + key),
      one.member ? link("collaborators", "Collaborators", "Collaborators (" + one.people.length + ")", "proposals.ipynb?show=collaborators&proposal=" + one.key) : null,
      one.member ? link("settings", "Settings", "Settings", "proposals.ipynb?show=settings&proposal=" + one.key) : null)), panel];
  }
  redraw(model, ["title", "count"], () => {
    title.textContent = model.get("title");
    count.textContent = model.get("count").toLocaleString("en");
    count.hidden = !model.get("count");
  });
  redraw(model, ["rows", "opened"], () => {
    fill(list, model.get("rows"), (one) => one.key, () => h("li", {}), (node, one) => {
      node.dataset.proposal = one.soar_id;
      renew(node, JSON.stringify([one, model.get("opened") === one.key]), () => item(one));
    });
  });
  redraw(model, ["message"], () => { note.textContent = model.get("message"); note.hidden = !model.get("message"); });
  redraw(model, ["tools"], () => {
    tools.replaceChildren(...model.get("tools").map((one) => h("button", { type: "button", class: one.main ? "gl-main" : null, "data-act": one.key, "aria-pressed": one.on === undefined ? null : String(one.on), onclick: () => send("tool", one.key) }, one.label)));
  });
  redraw(model, ["page", "pages"], () => {
    const page = model.get("page");
    const pages = model.get("pages");
    pager.hidden = pages < 2;
    pager.replaceChildren(
      h("button", { type: "button", "aria-label": "Previous page", disabled: page <= 1, onclick: () => send("page", page - 1) }, "‹"),
      h("span", {}, "page " + page + " of " + pages),
      h("button", { type: "button", "aria-label": "Next page", disabled: page >= pages, onclick: () => send("page", page + 1) }, "›"));
  });
}
export default { render };
