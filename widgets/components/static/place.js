// The address always names what is shown: it can be bookmarked, sent, and reloaded.
function render({ model, el }) {
  el.hidden = true;
  let first = true;
  redraw(model, ["query"], () => {
    // What the reader came with stays until the page has understood it.
    if (first) { first = false; if (!model.get("query")) return; }
    const address = new URL(location.href);
    address.search = model.get("query");
    if (address.href !== location.href) history.replaceState(history.state, "", address);
  });
}
export default { render };
