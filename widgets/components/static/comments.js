// What people wrote beside this file.
function render({ model, el }) {
  el.classList.add("gl-comments");
  const list = h("ol", {});
  const field = h("textarea", { rows: "1", maxlength: "4000", placeholder: "Add a comment", "aria-label": "Comment" });
  const add = h("button", { type: "submit", class: "gl-main" }, "Add comment");
  const note = h("p", { class: "gl-note gl-bad", role: "alert", hidden: true });
  const form = h("form", { class: "gl-line" }, field, add);
  el.append(h("h2", {}, "Comments"), list, form, note);

  let sent = null;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    // With the file that the reader sees: the page may go on to a newer one meanwhile.
    if (!text || !model.get("file")) return;
    sent = { root, text };
    model.send({ what: "comment", value: { file: model.get("file"), text } });
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  redraw(model, ["comments"], () => {
    list.replaceChildren(...model.get("comments").map((one) => h("li", {},
      h("div", {}, h("b", {}, one.author), h("time", { datetime: one.created, title: moment(one.created) }, ago(one.created)),
        one.mine ? h("button", { type: "button", "aria-label": "Delete this comment", onclick: () => model.send({ what: "uncomment", value: one.id }) }, "×") : null),
      h("p", {}, one.text))));
  });
  // What is typed stays with its frame, whichever step of it is shown.
  const drafts = new Map();
  let root = model.get("root");
  redraw(model, ["root", "file"], () => {
    if (root !== model.get("root")) {
      if (root) drafts.set(root, field.value);
      root = model.get("root");
      field.value = drafts.get(root) || "";
    }
    field.disabled = add.disabled = !model.get("file");
    el.dataset.file = model.get("file");
    el.dataset.root = root;
  });
  // Cleared only when the comment is kept, and where it was typed: neither a failure nor the
  // next frame's draft, nor what was typed since, must be eaten.
  redraw(model, ["kept"], () => {
    if (!sent) return;
    if (root === sent.root) { if (field.value.trim() === sent.text) field.value = ""; }
    else if ((drafts.get(sent.root) || "").trim() === sent.text) drafts.delete(sent.root);
    sent = null;
  });
  redraw(model, ["message"], () => { note.textContent = model.get("message"); note.hidden = !model.get("message"); });
}
export default { render };
