// One line over the page: a lost connection, an error, or nothing.
function render({ model, el }) {
  el.classList.add("gl-notice");
  let last = Date.now();
  let silent = false;
  let typed = false;
  let ended = false;
  const lost = () => {
    const keep = typed ? "Copy what you typed, then reload" : "Reload";
    if (ended) return "Your session has ended. " + keep + " the page to go on.";
    return "The page has lost its own server. " + (typed ? keep + " it." : "It is opened again when that answers.");
  };
  function draw() {
    const tone = silent ? "bad" : model.get("tone");
    const text = silent ? lost() : model.get("text");
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
  // A kernel that is gone does not come back: where its server answers all the same, a new page
  // has what this one showed. Not while somebody has typed here or looks elsewhere, nor twice at once.
  let answers = 0;
  const note = (event) => { if (event.target.matches?.("textarea, input:not([type=search]):not([type=checkbox])")) typed = true; };
  document.addEventListener("input", note, true);
  async function ask() {
    const own = location.pathname.match(/^(.*?\/)voila\//);
    if (!own) return;
    let well = false;
    try {
      // A page may ask little of its server: whether it gives its scripts tells that it runs.
      const answer = await fetch(own[1] + "voila/static/voila.js", { method: "HEAD", redirect: "manual", cache: "no-store" });
      well = answer.ok;
      // The Hub answers in the place of a server that was stopped, or asks who we are.
      const over = answer.type === "opaqueredirect" || [405, 424].includes(answer.status);
      if (over !== ended) { ended = over; draw(); }
    } catch { /* no connection yet: asked again */ }
    answers = well ? answers + 1 : 0;
    const before = Number(sessionStorage.getItem("gl-mended") || 0);
    if (!silent || answers < 3 || typed || document.hidden || Date.now() - before < 120000) return;
    if (Date.now() - last < 4000 * model.get("patience")) return;
    sessionStorage.setItem("gl-mended", String(Date.now()));
    location.reload();
  }
  let tick = Date.now();
  const timer = setInterval(() => {
    const now = Date.now();
    // A laptop that slept misses beats without losing anything: count waking time only.
    if (now - tick > 10000) last = now;
    tick = now;
    const was = silent;
    silent = now - last > 1000 * model.get("patience");
    if (was !== silent) draw();
    if (!silent) { answers = 0; ended = false; }
    else if (!(Math.floor(now / 1000) % 3)) ask();
  }, 1000);
  return () => { clearInterval(timer); document.removeEventListener("input", note, true); };
}
export default { render };
