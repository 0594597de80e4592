// A form: groups of fields with help and faults, buttons below. What may not be changed is shown.
function render({ model, el }) {
  el.classList.add("gl-card", "gl-formcard");
  const title = h("h2", { class: "gl-title", tabindex: "-1" });
  const intro = h("p", { class: "gl-intro" });
  const body = h("div", { class: "gl-groups" });
  const note = h("p", { class: "gl-formnote", role: "status" });
  const buttons = h("div", { class: "gl-formbuttons" });
  const sure = h("div", { class: "gl-sure", role: "alertdialog", "aria-label": "Confirm", hidden: true });
  const form = h("form", { novalidate: true }, title, intro, body, note, sure, buttons);
  el.append(form);
  const inputs = new Map();
  const serial = Math.random().toString(36).slice(2, 8);
  let typing = 0;
  // What was typed into a field, until the kernel fills that very field: nothing else may write
  // over it. `at` counts what the reader does, so that what came after a press is told apart.
  const typed = new Map();
  let deeds = 0;
  let pressed = Infinity;
  let filled = model.get("values")._fills || {};

  const fields = () => model.get("groups").flatMap((group) => group.fields);
  function read(field) {
    const node = inputs.get(field.key);
    if (!node) return model.get("values")[field.key];
    if (field.kind === "check") return node.checked;
    if (field.kind === "number") return node.value === "" ? null : Number(node.value);
    return node.value;
  }
  const values = () => Object.fromEntries(fields().filter((field) => field.kind !== "shown").map((field) => [field.key, read(field)]));
  function write(field, value) {
    const node = inputs.get(field.key);
    if (!node) return;
    if (field.kind === "check") node.checked = Boolean(value);
    else if (field.kind === "shown") node.textContent = value ?? "";
    else node.value = value ?? "";
  }
  function tell(key) { model.send({ what: "change", value: { key, values: values() } }); }
  function same(a, b) { return String(a ?? "") === String(b ?? ""); }

  function control(field, id) {
    const common = { id, name: field.key, "aria-describedby": id + "-help", required: field.required };
    let node;
    if (field.kind === "choice") {
      node = h("select", common, field.options.map((one) => h("option", { value: one.value }, one.label)));
    } else if (field.kind === "area") {
      node = h("textarea", { ...common, rows: field.rows || 4, maxlength: field.most, placeholder: field.hint });
    } else if (field.kind === "check") {
      node = h("input", { ...common, type: "checkbox" });
    } else if (field.kind === "shown") {
      node = h("output", { id, "aria-describedby": id + "-help" });
    } else {
      const type = { number: "number", email: "email", date: "date", search: "search" }[field.kind] || "text";
      node = h("input", {
        ...common, type, min: field.min, max: field.max, step: field.step, maxlength: field.most, placeholder: field.hint,
        list: field.suggestions ? id + "-list" : null, autocomplete: field.autocomplete || "off", spellcheck: "false",
      });
    }
    if (field.kind !== "shown") {
      if (!model.get("editable")) node.disabled = true;
      const timed = ["text", "email", "area", "number", "search", undefined].includes(field.kind);
      node.addEventListener("input", () => {
        forgive(field);
        touch(field);
        clearTimeout(typing);
        typing = setTimeout(() => tell(field.key), timed ? 350 : 0);
      });
    }
    inputs.set(field.key, node);
    return node;
  }

  function touch(field) {
    deeds += 1;
    typed.set(field.key, { value: read(field), at: deeds });
    mark(field);
  }
  function mark(field) {
    const node = inputs.get(field.key);
    const back = node?.closest(".gl-field")?.querySelector(".gl-default");
    if (back) back.hidden = !model.get("editable") || same(read(field), field.default);
  }

  function draw() {
    inputs.clear();
    body.replaceChildren(...model.get("groups").map((group) => h("fieldset", { class: "gl-group" },
      group.label ? h("legend", {}, group.label) : null,
      h("div", { class: "gl-fields" }, group.fields.map((field) => {
        const id = "gl-" + serial + "-" + field.key;
        const node = control(field, id);
        const label = field.kind === "shown" ? h("span", { class: "gl-label" }, field.label) : h("label", { for: id }, field.label);
        const back = field.default === undefined || field.default === null ? null : h("button", {
          type: "button", class: "gl-default", "aria-label": "Set " + field.label + " to its default",
          onclick: () => { write(field, field.default); touch(field); clearTimeout(typing); tell(field.key); },
        }, "default: " + (field.options?.find((one) => same(one.value, field.default))?.label ?? (field.kind === "check" ? (field.default ? "on" : "off") : field.default)));
        return h("div", { class: "gl-field gl-field-" + (field.kind || "text") + (field.wide ? " gl-wide" : ""), "data-field": field.key },
          field.kind === "check" ? h("div", { class: "gl-checkline" }, node, label) : [label, node],
          field.suggestions ? h("datalist", { id: id + "-list" }, field.suggestions.map((one) => h("option", { value: one.value }, one.label || ""))) : null,
          h("p", { class: "gl-help", id: id + "-help" }, field.help || ""), back,
          h("p", { class: "gl-fault", role: "alert", hidden: true }));
      })))));
    fill();
    faults();
  }
  function fill() {
    const values = model.get("values");
    for (const field of fields()) {
      const own = typed.get(field.key);
      const value = own ? own.value : values[field.key];
      // Written only where it differs: the cursor would go to the end.
      if (!inputs.has(field.key) || !same(read(field), value) || field.kind === "shown") write(field, value);
      mark(field);
    }
  }
  function release() {
    const fills = model.get("values")._fills || {};
    for (const [key, count] of Object.entries(fills)) {
      if (count !== filled[key] && !(typed.get(key)?.at > pressed)) typed.delete(key);
    }
    filled = fills;
  }
  function faults() {
    const found = model.get("faults");
    let first = null;
    for (const field of fields()) {
      const node = inputs.get(field.key);
      const place = node.closest(".gl-field").querySelector(".gl-fault");
      place.textContent = found[field.key] || "";
      place.hidden = !found[field.key];
      if (found[field.key]) { node.setAttribute("aria-invalid", "true"); first = first || node; }
      else node.removeAttribute("aria-invalid");
    }
    return first;
  }
  // What was wrong was said of what stood there before.
  function forgive(field) {
    const { [field.key]: fault, ...others } = model.get("faults");
    if (!fault) return;
    model.set("faults", others);
    model.save_changes();
    faults();
  }
  function local() {
    // What the browser itself can tell, said beside the field.
    const found = {};
    for (const field of fields()) {
      const node = inputs.get(field.key);
      if (node.checkValidity && !node.checkValidity()) found[field.key] = node.validationMessage;
    }
    return found;
  }
  function press(one) {
    if (one.reason || model.get("busy") || pressed !== Infinity) return;
    const found = one.free ? {} : local();
    model.set("faults", found);
    model.save_changes();
    faults()?.focus();
    if (Object.keys(found).length) return;
    const go = () => {
      // All values go along: what was about to be told would only come after.
      clearTimeout(typing);
      pressed = deeds;
      model.send({ what: "press", value: { key: one.key, values: values() } });
      drawButtons();
    };
    if (!one.confirm) { go(); return; }
    const close = () => { sure.hidden = true; };
    const keep = h("button", { type: "button", onclick: close }, "Not now");
    sure.replaceChildren(h("p", {}, one.confirm), h("div", {}, h("button", { type: "button", class: "gl-main", onclick: () => { close(); go(); } }, one.label), keep));
    sure.hidden = false;
    keep.focus();
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const main = model.get("buttons").find((one) => one.main);
    if (main) press(main);
  });
  sure.addEventListener("keydown", (event) => { if (event.key === "Escape") sure.hidden = true; });

  redraw(model, ["title", "intro"], () => {
    title.textContent = model.get("title");
    title.hidden = !model.get("title");
    intro.textContent = model.get("intro");
    intro.hidden = !model.get("intro");
  });
  redraw(model, ["summoned"], () => {
    // Asked for from a row above: the keyboard and the eye follow.
    if (!model.get("summoned")) return;
    model.set("summoned", false);
    model.save_changes();
    requestAnimationFrame(() => { title.focus({ preventScroll: true }); el.scrollIntoView({ block: "nearest" }); });
  });
  redraw(model, ["groups", "editable"], draw);
  model.on("change:values", release);
  redraw(model, ["values"], fill);
  model.on("change:busy", () => { if (!model.get("busy")) pressed = Infinity; });
  redraw(model, ["faults"], faults);
  redraw(model, ["message", "tone"], () => {
    note.textContent = model.get("message");
    note.className = "gl-formnote gl-" + model.get("tone");
    note.hidden = !model.get("message");
  });
  function drawButtons() {
    const buttonsNow = model.get("buttons");
    const busy = model.get("busy") || pressed !== Infinity;
    buttons.hidden = !buttonsNow.length;
    renew(buttons, JSON.stringify([buttonsNow, busy]), () => buttonsNow.map((one) => one.href
      ? h("a", { class: "gl-button", href: one.href, "data-act": one.key }, one.label)
      : h("button", {
        type: one.main ? "submit" : "button", class: one.main ? "gl-main" : null, "data-act": one.key,
        "aria-disabled": one.reason || busy ? "true" : null, title: one.reason || null,
        onclick: one.main ? null : () => press(one),
      }, one.label)));
  }
  redraw(model, ["buttons", "busy", "editable"], drawButtons);
}
export default { render };
