// One line over the page: a lost connection, an error, or nothing.
function render({ model, el }) {
  el.classList.add("gl-notice");
  let last = Date.now();
  let silent = false;
  function draw() {
    const tone = silent ? "bad" : model.get("tone");
    const text = silent
      ? "The page has lost its own server. Reload it when you are connected again."
      : model.get("text");
    el.hidden = !text;
    el.className = "gl-notice gl-" + tone;
    el.setAttribute("role", tone === "bad" ? "alert" : "status");
    el.replaceChildren(h("span", {}, text),
      silent ? h("button", { type: "button", onclick: () => location.reload() }, "Reload") : "",
      !silent && model.get("retry") ? h("button", { type: "button", onclick: () => model.send({ what: "retry" }) }, "Try again") : "");
  }
  redraw(model, ["text", "tone", "retry"], draw);
  model.on("change:beat", () => {
    last = Date.now();
    if (silent) { silent = false; draw(); }
  });
  // What changes while a browser loads the widgets gets lost: the kernel waits for this word.
  const say = () => { if (!model.get("beat")) { model.send({ what: "seen" }); setTimeout(say, 2000); } };
  say();
  let tick = Date.now();
  const timer = setInterval(() => {
    const now = Date.now();
    // A laptop that slept misses beats without losing anything: count waking time only.
    if (now - tick > 10000) last = now;
    tick = now;
    const was = silent;
    silent = now - last > 1000 * model.get("patience");
    if (was !== silent) draw();
  }, 1000);
  return () => clearInterval(timer);
}
export default { render };
