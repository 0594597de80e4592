// What people wrote beside this file.
function render({ model, el }) {
  el.classList.add("gl-comments");
  const list = h("ol", {});
  const field = h("textarea", { rows: "1", maxlength: "4000", placeholder: "Add a comment", "aria-label": "Comment" });
  const add = h("button", { type: "submit", class: "gl-main" }, "Add comment");
  const note = h("p", { class: "gl-note gl-bad", role: "alert", hidden: true });
  const form = h("form", { class: "gl-line" }, field, add);
  el.append(h("h2", {}, "Comments"), list, form, note);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (text) model.send({ what: "comment", value: text });
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
  // Cleared only when the comment is kept: a failure must not eat what was typed.
  redraw(model, ["kept"], () => { field.value = ""; });
  redraw(model, ["message"], () => { note.textContent = model.get("message"); note.hidden = !model.get("message"); });
}
export default { render };
