// A token just made: shown once, copied with one click, gone when it is put away.
function render({ model, el }) {
  el.classList.add("gl-secret");
  const field = h("input", { type: "text", readonly: true, "aria-label": "New token", spellcheck: "false" });
  const said = h("span", { role: "status" });
  const copy = h("button", { type: "button", class: "gl-main", onclick: async () => {
    field.select();
    let copied = true;
    try { await navigator.clipboard.writeText(field.value); } catch { copied = document.execCommand("copy"); }
    said.textContent = copied ? "Copied." : "This browser does not let a page copy: the token is marked, press Ctrl+C.";
  } }, "Copy");
  el.append(h("p", {}, "This token is shown once. Copy it now and keep it as you keep a password."),
    h("div", {}, field, copy, h("button", { type: "button", onclick: () => model.send({ what: "forget" }) }, "I have kept it"), said));
  redraw(model, ["token"], () => {
    field.value = model.get("token");
    said.textContent = "";
    el.hidden = !model.get("token");
  });
}
export default { render };
