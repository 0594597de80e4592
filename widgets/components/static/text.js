// A line of plain text. (The Label of ipywidgets would look for formulas in it.)
function render({ model, el }) {
  const line = h("p", {});
  el.append(line);
  redraw(model, ["text", "kind"], () => {
    line.textContent = model.get("text");
    line.className = model.get("kind");
    el.hidden = !model.get("text");
  });
}
export default { render };
