// What is shown: title, tabs of the related products, facts, quality, latency, what it waits for.
function render({ model, el }) {
  el.classList.add("gl-head");
  const title = h("h1", { class: "gl-title" });
  const tabs = h("div", { class: "gl-tabs", role: "tablist", "aria-label": "Steps of this frame" });
  const more = h("select", { class: "gl-more", "aria-label": "Other products and older versions" });
  const facts = h("div", { class: "gl-facts" });
  const waits = h("div", { class: "gl-waits", role: "status" });
  el.append(title, h("div", { class: "gl-tabline" }, tabs, more), facts, waits);
  more.addEventListener("change", () => { if (more.value) pick(Number(more.value)); });

  function pick(id) { model.send({ what: "tab", value: id }); }

  // The targets of a step stand together: its name once, and a number for each of them.
  function steps() {
    const found = new Map();
    for (const tab of model.get("tabs")) {
      const key = tab.target ? "several " + tab.step : "one " + tab.id;
      found.set(key, [...(found.get(key) || []), tab]);
    }
    return [...found].map(([key, group]) => ({ key, group }));
  }
  const targetOf = (group) => {
    const all = model.get("tabs");
    const now = all.find((tab) => tab.id === model.get("selected"));
    return group.find((tab) => now && tab.target === now.target) || group[0];
  };

  tabs.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const all = steps().flatMap((one) => one.group);
    const here = all.findIndex((tab) => tab.id === model.get("selected"));
    const next = all[(here + step + all.length) % all.length];
    if (next) { event.preventDefault(); pick(next.id); }
  });

  function dress(node, tab) {
    const on = tab.id === model.get("selected");
    node.setAttribute("aria-selected", String(on));
    node.tabIndex = on ? 0 : -1;
    node.title = tab.name;
    // Those of a frame that is about to go: a press would be meant for the next one's.
    node.disabled = model.get("opening");
    node.replaceChildren(...(tab.target ? [h("span", { class: "gl-hidden" }, tab.step + " · target "), String(tab.target)] : [tab.label]),
      tab.note ? h("small", {}, tab.note) : "");
  }

  redraw(model, ["title"], () => { title.textContent = model.get("title"); });
  redraw(model, ["tabs", "selected", "opening"], () => {
    const opening = model.get("opening");
    el.setAttribute("aria-busy", String(opening));
    const focused = tabs.contains(document.activeElement);
    fill(tabs, steps(), (one) => one.key, ({ group: [first] }) => h("span", { class: first.target ? "gl-step" : null },
      // For the mouse alone: each target is a tab of its own.
      first.target ? h("span", { class: "gl-stepname", "aria-hidden": "true" }, first.step) : null, h("span", {})),
    (node, { group }) => {
      node.classList.toggle("gl-on", group.some((tab) => tab.id === model.get("selected")));
      if (group[0].target) node.firstChild.onclick = () => { if (!model.get("opening")) pick(targetOf(group).id); };
      fill(node.lastChild, group, (tab) => tab.id,
        (tab) => h("button", { type: "button", role: "tab", "data-file": tab.id, onclick: () => pick(tab.id) }), dress);
    });
    more.disabled = opening;
    if (focused) tabs.querySelector('[aria-selected="true"]')?.focus();
  });
  redraw(model, ["more", "selected"], () => {
    const others = model.get("more");
    more.hidden = !others.length;
    more.replaceChildren(h("option", { value: "" }, "More (" + others.length + ") …"),
      ...others.map((one) => h("option", { value: String(one.id) }, one.label + (one.note ? ", " + one.note : ""))));
    more.value = others.some((one) => one.id === model.get("selected")) ? String(model.get("selected")) : "";
  });
  redraw(model, ["facts"], () => {
    facts.replaceChildren(...model.get("facts").map((fact) => h("span", {
      class: "gl-fact gl-" + (fact.tone || "plain"), title: fact.more || null,
    }, h("small", {}, fact.name), h("b", {}, fact.value))));
  });
  redraw(model, ["waits"], () => {
    waits.hidden = !model.get("waits").length;
    waits.replaceChildren(...model.get("waits").map((line) => h("p", { class: "gl-" + line.tone }, line.text)));
  });
}
export default { render };
