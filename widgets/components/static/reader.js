// Tells the frame of the page who reads, and the kernel when the theme is changed there.
function render({ model, el }) {
  el.hidden = true;
  const UNSAVED = "goodman-theme-unsaved";
  const flag = (value) => {
    try {
      if (value === undefined) return localStorage.getItem(UNSAVED);
      if (value) localStorage.setItem(UNSAVED, value);
      else localStorage.removeItem(UNSAVED);
    } catch { /* a private window keeps nothing */ }
    return null;
  };
  const tell = (theme) => { flag(theme); model.send({ what: "theme", value: theme }); };
  const changed = (event) => tell(event.detail);
  addEventListener("goodman-theme", changed);
  redraw(model, ["reader"], () => {
    const reader = model.get("reader");
    if (!reader.name) return;
    // What was chosen here while no kernel listened is newer than what the account knows.
    const waiting = flag();
    if (waiting && waiting !== reader.theme) tell(waiting);
    else flag("");
    window.goodmanReader?.({ ...reader, theme: waiting || reader.theme });
  });
  return () => removeEventListener("goodman-theme", changed);
}
export default { render };
