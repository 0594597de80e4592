// The filters of the search: choices with counts, text, dates, a place on the sky.
function render({ model, el }) {
  el.classList.add("gl-card", "gl-facets");
  const clear = h("button", { type: "button", class: "gl-act", onclick: () => clearAll() }, "Clear all");
  const text = h("input", { type: "search", class: "gl-filter", placeholder: "Object, file or id", "aria-label": "Free text", spellcheck: "false" });
  const from = h("input", { type: "date", "aria-label": "From this UT date" });
  const to = h("input", { type: "date", "aria-label": "To this UT date" });
  const ra = h("input", { type: "text", "aria-label": "Right ascension", placeholder: "05:34:22.4 or 83.59", spellcheck: "false" });
  const dec = h("input", { type: "text", "aria-label": "Declination", placeholder: "-05:24:52", spellcheck: "false" });
  const radius = h("input", { type: "number", "aria-label": "Radius in arcminutes", min: "0", step: "any", placeholder: "5" });
  const fault = h("p", { class: "gl-fault", role: "alert", hidden: true });
  const groups = h("div");
  const line = (label, ...parts) => h("div", { class: "gl-facetline" }, h("small", {}, label), ...parts);
  const sky = h("details", { class: "gl-facet" }, h("summary", {}, "Position on the sky"),
    line("Right ascension (h or °)", ra), line("Declination (°)", dec), line("Within (arcmin)", radius));
  // Narrow screens show the files first: the filters unfold.
  const choices = h("div", { class: "gl-facetbody", id: "gl-facetbody" },
    h("div", { class: "gl-dates" }, line("From (UT date)", from), line("To", to)), groups, sky);
  const unfold = h("button", { type: "button", class: "gl-act gl-narrow", "aria-expanded": "false", "aria-controls": "gl-facetbody", onclick: () => {
    const on = choices.classList.toggle("gl-open");
    unfold.setAttribute("aria-expanded", String(on));
    unfold.textContent = on ? "Hide filters" : "Show filters";
  } }, "Show filters");
  el.append(h("div", { class: "gl-facethead" }, h("h2", { class: "gl-title" }, "Filters"), clear, unfold), text, fault, choices);
  const open = new Set();
  const single = { search: text, date_min: from, date_max: to, ra, dec, radius };
  let typing = 0;
  let sent = 0;

  function ticked() {
    const found = {};
    for (const box of groups.querySelectorAll("input:checked")) (found[box.name] = found[box.name] || []).push(box.value);
    for (const [name, node] of Object.entries(single)) if (node.value.trim()) found[name] = [node.value.trim()];
    return found;
  }
  function tell() {
    clearTimeout(typing);
    typing = 0;
    sent += 1;
    model.send({ what: "filters", value: { chosen: ticked(), serial: sent } });
  }
  function clearAll() {
    for (const box of groups.querySelectorAll("input:checked")) box.checked = false;
    for (const node of Object.values(single)) node.value = "";
    tell();
  }
  text.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(tell, 100); });
  for (const node of [from, to, ra, dec, radius]) node.addEventListener("change", tell);

  redraw(model, ["groups", "chosen", "heard"], () => {
    // While the kernel has not heard of the last choice, what is ticked counts: counts that come
    // meanwhile must not take a choice back, nor let the next one be sent without it.
    const settled = !typing && model.get("heard") >= sent;
    const chosen = settled ? model.get("chosen") : ticked();
    if (settled) for (const [name, node] of Object.entries(single)) if (node !== document.activeElement) node.value = (chosen[name] || [""])[0];
    if (chosen.ra || chosen.dec) sky.open = true;
    const focus = groups.contains(document.activeElement) ? [document.activeElement.name, document.activeElement.value] : null;
    groups.replaceChildren(...model.get("groups").map((group) => {
      const on = new Set(chosen[group.key] || []);
      const values = h("div", { class: "gl-facetvalues", role: "group", "aria-label": group.label });
      const box = h("details", { class: "gl-facet", open: open.has(group.key) || on.size > 0, "data-facet": group.key },
        h("summary", {}, group.label, on.size ? h("span", { class: "gl-count" }, String(on.size)) : null), values,
        group.values.length ? null : h("p", { class: "gl-muted" }, "No choice here."));
      // Years of nights are many choices: they are drawn when somebody looks.
      const draw = () => {
        if (!box.open || values.childElementCount) return;
        values.replaceChildren(...group.values.map((one) => h("label", { class: one.count ? null : "gl-muted" },
          h("input", { type: "checkbox", name: group.key, value: one.value, checked: on.has(one.value), onchange: tell }),
          h("span", {}, one.label), h("b", {}, one.count.toLocaleString("en")))));
      };
      draw();
      box.addEventListener("toggle", () => { if (box.open) open.add(group.key); else open.delete(group.key); draw(); });
      return box;
    }));
    if (focus) [...groups.querySelectorAll("input")].find((one) => one.name === focus[0] && one.value === focus[1])?.focus();
    clear.hidden = !Object.keys(chosen).length;
  });
  redraw(model, ["fault"], () => { fault.textContent = model.get("fault"); fault.hidden = !model.get("fault"); });
}
export default { render };
