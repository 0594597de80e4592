// Spectra: pan, zoom, smooth, compare, name lines, fit one, export.
const TINTS = ["#26a69a", "#e0713a", "#7e8cf0", "#d05ca8", "#b0962a", "#58a84a"];
const LIGHT_KMS = 299792.458;
const SPEED_LIMIT = 2.5;
const FAMILY_TINTS = { stellar: "#5b8dd9", nebular: "#c75fb0", galaxy: "#d08a2e", telluric: "#8a8f94", sky: "#6aa84f" };

function render({ model, el }) {
  const send = (what, value) => model.send({ what, value });
  const state = { view: null, smooth: 0, band: true, sky: false, arc: false, unit: "Å", scale: "as measured", z: 0, families: new Set(), fitting: false, range: null, cursor: null };
  el.classList.add("gl-plot", "gl-curves");
  const tools = h("div", { class: "gl-plottools" });
  const canvas = h("canvas", { class: "gl-canvas", tabindex: "0", role: "img", "aria-label": "Spectrum. Arrow keys pan, plus and minus zoom, 0 shows all." });
  const said = h("p", { class: "gl-readout", role: "status" });
  const lines = h("div", { class: "gl-plottools" });
  const found = h("div", { class: "gl-fit", role: "status", hidden: true });
  const others = h("div", { class: "gl-plottools" });
  el.append(tools, canvas, said, lines, found, others);

  const MARGIN = { left: 84, right: 14, top: 12, bottom: 48 };
  const nanometres = { "Å": 1, nm: 0.1, "µm": 1e-4 };
  const all = () => model.get("spectra");
  const main = () => all()[0];
  const calibrated = () => main()?.x_unit === "Angstrom";
  const flux = () => /erg/.test(main()?.y_unit || "");
  const unit = () => (calibrated() ? nanometres[state.unit] : 1);

  // What is drawn of one spectrum; the numbers that came are never changed.
  let dressed = new Map();
  function dress(one) {
    const key = [one.id, state.smooth, state.scale, state.unit, one.x.length].join("|");
    if (dressed.has(key)) return dressed.get(key);
    const measure = (values) => (values || []).map((value, i) => {
      if (value === null) return NaN;
      if (state.scale === "F_ν (mJy)") return value * 1e26 * one.x[i] ** 2 / (LIGHT_KMS * 1e13);
      return value;
    });
    let y = measure(one.y);
    let error = measure(one.uncertainty);
    let sky = measure(one.sky);
    if (state.smooth > 0) {
      y = blur(y, state.smooth);
      sky = blur(sky, state.smooth);
    }
    if (state.scale === "median = 1") {
      const good = y.filter(Number.isFinite).sort((a, b) => a - b);
      const middle = good[Math.floor(good.length / 2)] || 1;
      [y, error, sky] = [y, error, sky].map((list) => list.map((value) => value / middle));
    }
    const ready = { x: one.x.map((value) => (value === null ? NaN : value * (one.x_unit === "Angstrom" ? unit() : 1))), y, error, sky };
    if (dressed.size > 24) dressed = new Map();
    dressed.set(key, ready);
    return ready;
  }
  function blur(values, sigma) {
    const reach = Math.ceil(3 * sigma);
    const weights = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-0.5 * ((i - reach) / sigma) ** 2));
    return values.map((value, i) => {
      if (!Number.isFinite(value)) return NaN;
      let sum = 0;
      let weight = 0;
      for (let k = -reach; k <= reach; k += 1) {
        const near = values[i + k];
        if (Number.isFinite(near)) { sum += near * weights[k + reach]; weight += weights[k + reach]; }
      }
      return sum / weight;
    });
  }
  function whole() {
    const one = main();
    if (!one) return null;
    const { x, y } = dress(one);
    const good = y.filter(Number.isFinite).sort((a, b) => a - b);
    const inside = x.filter(Number.isFinite);
    if (!good.length) return null;
    const low = good[Math.floor(0.002 * good.length)];
    const high = good[Math.min(good.length - 1, Math.floor(0.999 * good.length))];
    const room = 0.07 * (high - low) || 1;
    return { x0: Math.min(...inside), x1: Math.max(...inside), y0: low - room, y1: high + room };
  }
  function box(width, height) {
    return { x: MARGIN.left, y: MARGIN.top, w: Math.max(40, width - MARGIN.left - MARGIN.right), h: Math.max(40, height - MARGIN.top - MARGIN.bottom) };
  }
  function yName() {
    const name = main()?.y_name || "";
    if (state.scale === "median = 1") return "Relative to the median";
    if (state.scale === "F_ν (mJy)") return "Flux density (mJy)";
    return name;
  }

  function draw(pen) {
    const area = box(pen.width, pen.height);
    pen.rect(0, 0, pen.width, pen.height, colour("surface"));
    pen.rect(area.x, area.y, area.w, area.h, colour("plot"));
    if (!main() || !state.view) return;
    const place = axes(pen, area, state.view, { x: calibrated() ? `Wavelength (${state.unit === "Å" ? "Angstrom" : state.unit})` : main().x_name, y: yName() });
    pen.clip(area.x, area.y, area.w, area.h, () => {
      if (state.range) {
        const [a, b] = state.range.map(place.x);
        pen.rect(Math.min(a, b), area.y, Math.abs(b - a), area.h, colour("accent"), 0.15);
      }
      all().forEach((one, index) => {
        const data = dress(one);
        const tint = TINTS[index % TINTS.length];
        if (state.band && index === 0) {
          const outline = [];
          for (const side of [1, -1]) {
            const part = data.x.map((value, i) => [place.x(value), place.y(data.y[i] + side * data.error[i])]).filter(([, y]) => Number.isFinite(y));
            outline.push(...(side > 0 ? part : part.reverse()));
          }
          pen.path(outline, { fill: tint, alpha: 0.28 });
        }
        if (state.sky && index === 0) pen.path(data.x.map((value, i) => [place.x(value), place.y(data.sky[i])]), { stroke: "#e0a13a", alpha: 0.9 });
        pen.path(data.x.map((value, i) => [place.x(value), place.y(data.y[i])]), { stroke: tint, width: 1.2 });
      });
      const arc = model.get("arc");
      if (state.arc && arc.x) {
        const top = Math.max(...arc.y.filter(Number.isFinite));
        const height = 0.9 * area.h;
        pen.path(arc.x.map((value, i) => [place.x(value * unit()), area.y + area.h - (Math.max(arc.y[i] ?? NaN, 0) / top) ** 0.5 * height]), { stroke: "#9a86e8", alpha: 0.8 });
      }
      const fit = model.get("fit");
      if (fit.x && state.scale === "as measured") pen.path(fit.x.map((value, i) => [place.x(value * unit()), place.y(fit.model[i])]), { stroke: colour("bad"), width: 2 });
      drawLines(pen, area, place);
    });
    all().forEach((one, index) => {
      if (all().length < 2) return;
      pen.rect(area.x + area.w - 14 - 6.6 * one.label.length, area.y + 5 + 16 * index, 6.6 * one.label.length + 10, 17, colour("plot"), 0.8);
      pen.text(one.label, area.x + area.w - 8, area.y + 14 + 16 * index, { fill: TINTS[index % TINTS.length], align: "right" });
    });
  }
  function drawLines(pen, area, place) {
    let last = -99;
    const wanted = model.get("lines").filter((line) => state.families.has(line.family)).map((line) => {
      // Earth's own do not move with the target.
      const shift = ["telluric", "sky"].includes(line.family) ? 1 : 1 + state.z;
      return { ...line, at: place.x(line.wave * shift * unit()), to: line.end ? place.x(line.end * shift * unit()) : null };
    }).filter((line) => (line.to ?? line.at) > area.x && line.at < area.x + area.w).sort((a, b) => a.at - b.at);
    for (const line of wanted) {
      const tint = FAMILY_TINTS[line.family];
      if (line.to !== null) pen.rect(line.at, area.y, line.to - line.at, area.h, tint, 0.18);
      else pen.path([[line.at, area.y], [line.at, area.y + area.h]], { stroke: tint, dash: [4, 3], alpha: 0.9 });
      if (line.at - last < 13) continue;
      last = line.at;
      pen.text(line.name, line.at + 8, area.y + 6, { fill: tint, align: "right", turn: -Math.PI / 2 });
    }
  }

  function paint() {
    if (!state.view) state.view = whole();
    draw(new CanvasPen(canvas, canvas.clientWidth, canvas.clientHeight));
    // For screen readers and tests: what is in view, in words.
    const view = state.view;
    canvas.dataset.view = view ? [view.x0, view.x1, view.y0, view.y1].map((one) => number(one)).join(" ") : "";
    canvas.dataset.spectra = String(all().length);
  }
  const keeper = follow(el, canvas, paint);
  const redo = keeper.soon;

  // pan, zoom, fit
  function inside(event) {
    const rect = canvas.getBoundingClientRect();
    const area = box(rect.width, rect.height);
    const view = state.view;
    return {
      x: view.x0 + ((event.clientX - rect.left - area.x) / area.w) * (view.x1 - view.x0),
      y: view.y1 - ((event.clientY - rect.top - area.y) / area.h) * (view.y1 - view.y0),
      area,
    };
  }
  function zoom(part, at, vertical) {
    const view = state.view;
    const [a, b] = vertical ? ["y0", "y1"] : ["x0", "x1"];
    view[a] = at + (view[a] - at) * part;
    view[b] = at + (view[b] - at) * part;
    redo();
  }
  function pan(dx, dy) {
    const view = state.view;
    const [w, t] = [view.x1 - view.x0, view.y1 - view.y0];
    Object.assign(view, { x0: view.x0 + dx * w, x1: view.x1 + dx * w, y0: view.y0 + dy * t, y1: view.y1 + dy * t });
    redo();
  }
  canvas.addEventListener("wheel", (event) => {
    if (!state.view) return;
    event.preventDefault();
    const at = inside(event);
    zoom(Math.exp(Math.sign(event.deltaY) * 0.18), event.shiftKey ? at.y : at.x, event.shiftKey);
  }, { passive: false });
  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (!state.view) return;
    canvas.setPointerCapture(event.pointerId);
    const at = inside(event);
    held = { x: event.clientX, y: event.clientY, view: { ...state.view }, from: at.x };
    if (state.fitting) state.range = [at.x, at.x];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!state.view) return;
    const at = inside(event);
    say(at);
    if (!held) return;
    if (state.fitting) state.range = [held.from, at.x];
    else {
      const dx = ((event.clientX - held.x) / at.area.w) * (held.view.x1 - held.view.x0);
      const dy = ((event.clientY - held.y) / at.area.h) * (held.view.y1 - held.view.y0);
      Object.assign(state.view, { x0: held.view.x0 - dx, x1: held.view.x1 - dx, y0: held.view.y0 + dy, y1: held.view.y1 + dy });
    }
    redo();
  });
  canvas.addEventListener("pointerup", () => {
    held = null;
    if (!state.fitting || !state.range) return;
    const [low, high] = [...state.range].sort((a, b) => a - b).map((value) => value / unit());
    if (high > low) ask(low, high);
  });
  canvas.addEventListener("keydown", (event) => {
    if (!state.view) return;
    const middle = (state.view.x0 + state.view.x1) / 2;
    const act = { ArrowLeft: () => pan(-0.15, 0), ArrowRight: () => pan(0.15, 0), ArrowUp: () => pan(0, 0.15), ArrowDown: () => pan(0, -0.15), "+": () => zoom(0.7, middle), "=": () => zoom(0.7, middle), "-": () => zoom(1 / 0.7, middle), 0: reset }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  function reset() { state.view = whole(); redo(); }
  function say(at) {
    const data = dress(main());
    const rising = data.x;
    let [low, high] = [0, rising.length - 1];
    while (high - low > 1) { const mid = (low + high) >> 1; if (rising[mid] < at.x) low = mid; else high = mid; }
    const i = Math.abs(rising[low] - at.x) < Math.abs(rising[high] - at.x) ? low : high;
    said.textContent = `${number(rising[i])} ${calibrated() ? state.unit : "px"}   ${number(data.y[i])} ± ${number(data.error[i])}   sky ${number(data.sky[i])}`;
  }

  // a line
  function ask(low, high) {
    found.hidden = false;
    found.replaceChildren(h("span", {}, "Fitting …"));
    send("fit", { low, high });
  }
  function showFit() {
    const fit = model.get("fit");
    if (!fit.x && !fit.message) { found.hidden = true; return; }
    found.hidden = false;
    if (fit.message) { found.replaceChildren(h("span", { class: "gl-bad" }, fit.message)); redo(); return; }
    // As many digits as the error has to say.
    const pair = (value, error) => {
      if (value === null || !(error > 0)) return value === null ? "–" : number(value);
      const places = Math.max(0, 1 - Math.floor(Math.log10(error)));
      if (places < 8 && Math.abs(value) < 1e6) return `${value.toFixed(places)} ± ${error.toFixed(places)}`;
      const power = Math.floor(Math.log10(Math.abs(value) || error));
      const fine = Math.max(0, places + power);
      return `(${(value / 10 ** power).toFixed(fine)} ± ${(error / 10 ** power).toFixed(fine)})e${power}`;
    };
    const nearest = model.get("lines").filter((line) => !line.end && state.families.has(line.family))
      .map((line) => ({ line, off: fit.centre / line.wave - 1 })).sort((a, b) => Math.abs(a.off - state.z) - Math.abs(b.off - state.z))[0];
    const facts = [["Centre", pair(fit.centre, fit.centre_error) + " " + fit.unit], ["FWHM", pair(fit.fwhm, fit.fwhm_error) + " " + fit.unit],
      ["Flux", pair(fit.flux, fit.flux_error)], ["Equivalent width", pair(fit.equivalent_width, fit.equivalent_width_error) + " " + fit.unit], ["χ² per degree", number(Number(fit.chi2.toPrecision(3)))]];
    if (fit.unit === "Angstrom") facts.splice(2, 0, ["FWHM in velocity", number(Number(((fit.fwhm / fit.centre) * LIGHT_KMS).toPrecision(4))) + " km/s"]);
    if (nearest) facts.push([`As ${nearest.line.name}`, `z ${nearest.off.toFixed(5)}, ${speed(nearest.off)} km/s`]);
    found.replaceChildren(h("dl", {}, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
      h("button", { type: "button", onclick: () => { state.range = null; send("forget"); redo(); } }, "Clear the fit"));
    redo();
  }
  // Relativistic, of a redshift.
  function speed(z) {
    const square = (1 + z) ** 2;
    return (LIGHT_KMS * (square - 1) / (square + 1)).toFixed(1);
  }

  // the tools
  const fitButton = h("button", { type: "button", "aria-pressed": "false", title: "Then drag over a line and some continuum on both sides", onclick: () => {
    state.fitting = !state.fitting;
    fitButton.setAttribute("aria-pressed", String(state.fitting));
    canvas.classList.toggle("gl-crosshair", state.fitting);
  } }, "Fit a line");
  const rangeFields = ["from", "to"].map((name) => h("input", { type: "number", step: "any", "aria-label": `Fit ${name}`, placeholder: name }));
  const fitRange = h("form", { class: "gl-range", onsubmit: (event) => {
    event.preventDefault();
    const [low, high] = rangeFields.map((field) => field.valueAsNumber);
    if (high > low) { state.range = [low, high]; ask(low / unit(), high / unit()); redo(); }
  } }, rangeFields, h("button", { type: "submit" }, "Fit"));
  const smooth = h("input", { type: "range", min: "0", max: "8", step: "0.5", value: "0", "aria-label": "Smoothing, pixels", oninput: () => {
    state.smooth = Number(smooth.value);
    smoothed.textContent = state.smooth ? `${state.smooth} px` : "none";
    redo();
  } });
  const smoothed = h("output", {}, "none");
  function csv() {
    const rows = [["spectrum", calibrated() ? "wavelength_aa" : "column", "flux", "uncertainty", "sky"]];
    for (const one of all()) {
      one.x.forEach((value, i) => {
        const at = value * (one.x_unit === "Angstrom" ? unit() : 1);
        // As measured: smoothing and units are of the picture alone.
        if (at >= state.view.x0 && at <= state.view.x1) rows.push([one.id, value, one.y[i] ?? "", one.uncertainty?.[i] ?? "", one.sky?.[i] ?? ""]);
      });
    }
    return rows;
  }
  const scales = h("span", { class: "gl-exports" });
  tools.append(check("Uncertainty", true, (on) => { state.band = on; redo(); }), check("Sky", false, (on) => { state.sky = on; redo(); }),
    h("span", { class: "gl-onlycal" }, check("Arc", false, (on) => { state.arc = on; if (on && !model.get("arc").x) send("arc"); redo(); })),
    h("label", { class: "gl-choice" }, h("small", {}, "Smooth"), smooth, smoothed), scales,
    fitButton, fitRange, h("button", { type: "button", onclick: reset }, "Whole view"), exporter(() => main()?.label || "spectrum", canvas, draw, csv));
  function drawScales() {
    state.unit = calibrated() ? state.unit : "Å";
    const kinds = ["as measured", "median = 1", ...(flux() && calibrated() ? ["F_ν (mJy)"] : [])];
    if (!kinds.includes(state.scale)) state.scale = "as measured";
    scales.replaceChildren(calibrated() ? pick("Axis", Object.keys(nanometres), state.unit, (value) => { state.unit = value; reset(); }) : "",
      pick("Scale", kinds, state.scale, (value) => { state.scale = value; reset(); }));
    tools.querySelector(".gl-onlycal").hidden = !calibrated();
    lines.hidden = !calibrated();
  }

  // lines and redshift
  const shiftField = h("input", { type: "number", step: "0.0001", min: "-0.01", max: String(SPEED_LIMIT), value: "0", "aria-label": "Redshift" });
  const shiftSlide = h("input", { type: "range", min: "-0.01", max: "0.5", step: "0.0001", value: "0", "aria-label": "Redshift, slider" });
  const shiftSaid = h("output", { class: "gl-speed" }, "0.0 km/s");
  function shift(value, from) {
    if (!Number.isFinite(value)) return;
    state.z = Math.max(-0.01, Math.min(SPEED_LIMIT, value));
    if (from !== shiftField) shiftField.value = String(state.z);
    if (from !== shiftSlide) shiftSlide.value = String(state.z);
    shiftSaid.textContent = speed(state.z) + " km/s";
    redo();
  }
  shiftField.addEventListener("input", () => shift(shiftField.valueAsNumber, shiftField));
  shiftSlide.addEventListener("input", () => shift(shiftSlide.valueAsNumber, shiftSlide));
  redraw(model, ["lines"], () => {
    const families = [...new Set(model.get("lines").map((line) => line.family))];
    lines.replaceChildren(h("small", {}, "Lines"), ...families.map((name) => h("span", { class: "gl-family", style: "--tint:" + FAMILY_TINTS[name] },
      check(name, state.families.has(name), (on) => { if (on) state.families.add(name); else state.families.delete(name); redo(); }))),
    h("label", { class: "gl-choice" }, h("small", {}, "Redshift"), shiftSlide), shiftField, shiftSaid);
  });

  // several spectra
  redraw(model, ["candidates", "spectra"], () => {
    const shown = all().slice(1);
    const field = h("select", { "aria-label": "Another spectrum to lay over", onchange: () => { if (field.value) send("add", Number(field.value)); } },
      h("option", { value: "" }, "Lay over another spectrum …"), model.get("candidates").map((one) => h("option", { value: String(one.id) }, one.label)));
    others.replaceChildren(field, ...shown.map((one, index) => h("span", { class: "gl-chip", style: "--tint:" + TINTS[(index + 1) % TINTS.length] }, one.label,
      h("button", { type: "button", "aria-label": "Take away " + one.label, onclick: () => send("drop", one.id) }, "×"))));
    others.hidden = !main();
  });
  let shownId = null;
  redraw(model, ["spectra"], () => {
    drawScales();
    if (main() && main().id !== shownId) { shownId = main().id; state.range = null; state.view = whole(); }
    redo();
  });
  redraw(model, ["arc"], redo);
  redraw(model, ["fit"], showFit);
  return keeper.stop;
}
export default { render };
