// An image: pan, zoom to pixels, values, stretch and limits, masks, cuts, apertures to drag.
const MASKS = [
  { key: "saturated", label: "Saturated", bits: 2, rgb: [255, 45, 45] },
  { key: "cosmic", label: "Cosmic rays", bits: 4, rgb: [255, 214, 0] },
  { key: "masked", label: "Other masks", bits: 1 | 8 | 32, rgb: [170, 90, 255] },
];
const APERTURE = "#00dcff";
const ZONE = "#ffb000";
const KNEE = 0.1;
const LOG_RANGE = 1000;

function render({ model, el }) {
  const send = (what, value) => model.send({ what, value });
  const kept = model.get("choices");
  const state = {
    view: null, low: 0, high: 1, method: kept.limits || "zscale", stretch: kept.stretch || "linear", colours: kept.colours || "gray",
    masks: new Set(kept.masks || ["saturated"]), zones: true, cross: null, held: null,
  };
  el.classList.add("gl-plot", "gl-plane");
  const tools = h("div", { class: "gl-plottools" });
  const canvas = h("canvas", { class: "gl-canvas gl-tall-canvas", tabindex: "0", role: "img", "aria-label": "Image. Arrow keys pan, plus and minus zoom, 0 shows all, c cuts through the middle." });
  const said = h("p", { class: "gl-readout", role: "status" });
  const histogram = h("canvas", { class: "gl-canvas gl-histogram", role: "img", "aria-label": "Histogram of the values; drag to move the limits" });
  const cutRow = h("canvas", { class: "gl-canvas gl-cut", role: "img", "aria-label": "Cut along the row" });
  const cutColumn = h("canvas", { class: "gl-canvas gl-cut", role: "img", "aria-label": "Cut along the column" });
  const levels = h("div", { class: "gl-plottools" });
  const cuts = h("div", { class: "gl-cuts", hidden: true }, cutRow, cutColumn);
  const hand = h("div", { class: "gl-plottools gl-hand", role: "group", "aria-label": "Apertures" });
  el.append(tools, canvas, said, hand, levels, histogram, cuts);

  const MARGIN = { left: 66, right: 12, top: 10, bottom: 46 };
  const frame = () => model.get("frame");
  const box = (width, height) => ({ x: MARGIN.left, y: MARGIN.top, w: Math.max(40, width - MARGIN.left - MARGIN.right), h: Math.max(40, height - MARGIN.top - MARGIN.bottom) });

  // tiles: the whole frame shrunk, and what is in view at its own scale
  const tiles = { whole: null, detail: null };
  function take(name) {
    const info = model.get(name);
    const bytes = model.get(name + "_pixels");
    if (!info.shape || !bytes || bytes.byteLength !== 4 * info.shape[0] * info.shape[1]) { tiles[name] = null; return; }
    const copy = (view) => view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
    const flags = model.get(name + "_flags");
    tiles[name] = {
      region: info.region, rows: info.shape[0], columns: info.shape[1], values: new Float32Array(copy(bytes)),
      flags: flags && flags.byteLength ? new Uint8Array(copy(flags)) : null, picture: null,
    };
  }
  function table() {
    const stops = model.get("colours")[state.colours] || ["000000", "ffffff"];
    const rgb = stops.map((stop) => [0, 2, 4].map((at) => parseInt(stop.slice(at, at + 2), 16)));
    return Array.from({ length: 256 }, (_, i) => {
      const at = (i / 255) * (rgb.length - 1);
      const below = Math.min(Math.floor(at), rgb.length - 2);
      return rgb[below].map((one, k) => Math.round(one + (rgb[below + 1][k] - one) * (at - below)));
    });
  }
  function bright(part) {
    const inside = Math.min(1, Math.max(0, part));
    if (state.stretch === "log") return Math.log1p(LOG_RANGE * inside) / Math.log1p(LOG_RANGE);
    if (state.stretch === "asinh") return Math.asinh(inside / KNEE) / Math.asinh(1 / KNEE);
    return inside;
  }
  function colourIn(tile) {
    const picture = document.createElement("canvas");
    picture.width = tile.columns;
    picture.height = tile.rows;
    const ctx = picture.getContext("2d");
    const data = ctx.createImageData(tile.columns, tile.rows);
    const colours = table();
    const span = state.high - state.low || 1;
    // The stretch of 1024 levels is worked out once and not for each pixel.
    const level = Array.from({ length: 1025 }, (_, i) => colours[Math.round(255 * bright(i / 1024))]);
    const nothing = [90, 90, 90];
    const masks = MASKS.filter((mask) => state.masks.has(mask.key));
    for (let row = 0; row < tile.rows; row += 1) {
      let to = 4 * (tile.rows - 1 - row) * tile.columns;
      for (let from = row * tile.columns; from < (row + 1) * tile.columns; from += 1, to += 4) {
        const value = tile.values[from];
        let rgb = nothing;
        if (value === value) {
          const part = (value - state.low) / span;
          rgb = level[part <= 0 ? 0 : part >= 1 ? 1024 : Math.round(1024 * part)];
        }
        if (tile.flags && tile.flags[from]) for (const mask of masks) if (tile.flags[from] & mask.bits) { rgb = mask.rgb; break; }
        data.data[to] = rgb[0];
        data.data[to + 1] = rgb[1];
        data.data[to + 2] = rgb[2];
        data.data[to + 3] = 255;
      }
    }
    ctx.putImageData(data, 0, 0);
    tile.picture = picture;
  }
  const recolour = () => { for (const tile of Object.values(tiles)) if (tile) tile.picture = null; redo(); };

  function lay(pen, area, place, tile) {
    if (!tile) return;
    if (!tile.picture) colourIn(tile);
    const [x0, y0, x1, y1] = tile.region;
    const left = place.x(x0 - 0.5);
    const top = place.y(y1 - 0.5);
    // Only what is in view: a browser draws a much enlarged picture slowly or not at all.
    const across = (place.x(x1 - 0.5) - left) / tile.columns;
    const up = (place.y(y0 - 0.5) - top) / tile.rows;
    const a = Math.max(0, Math.floor((area.x - left) / across));
    const b = Math.min(tile.columns, Math.ceil((area.x + area.w - left) / across));
    const c = Math.max(0, Math.floor((area.y - top) / up));
    const d = Math.min(tile.rows, Math.ceil((area.y + area.h - top) / up));
    if (b > a && d > c) pen.image(tile.picture, [a, c, b - a, d - c], [left + a * across, top + c * up, (b - a) * across, (d - c) * up]);
  }
  function draw(pen) {
    const area = box(pen.width, pen.height);
    pen.rect(0, 0, pen.width, pen.height, colour("surface"));
    pen.rect(area.x, area.y, area.w, area.h, colour("plot"));
    if (!frame().shape || !state.view) return;
    const place = axes(pen, area, state.view, { x: frame().x_name, y: frame().y_name });
    pen.clip(area.x, area.y, area.w, area.h, () => {
      lay(pen, area, place, tiles.whole);
      // Farther out, a patch of finer pixels would only look like a fault of the frame.
      const detail = tiles.detail;
      if (detail && state.view.x1 - state.view.x0 < 1.6 * (detail.region[2] - detail.region[0])) lay(pen, area, place, detail);
      if (state.zones) drawApertures(pen, place);
      if (state.cross) {
        const [x, y] = [place.x(state.cross.x), place.y(state.cross.y)];
        pen.path([[area.x, y], [area.x + area.w, y]], { stroke: colour("accent"), alpha: 0.8 });
        pen.path([[x, area.y], [x, area.y + area.h]], { stroke: colour("accent"), alpha: 0.8 });
      }
    });
  }
  function drawApertures(pen, place) {
    const along = (one, offset) => one.column.map((column, i) => [place.x(column), place.y(one.centre[i] + offset)]);
    for (const one of model.get("apertures")) {
      for (const [low, high] of one.zones) {
        pen.path([...along(one, low), ...along(one, high).reverse()], { fill: ZONE, alpha: 0.12 });
        for (const edge of [low, high]) pen.path(along(one, edge), { stroke: ZONE, dash: [5, 3] });
      }
      pen.path([...along(one, one.aperture[0]), ...along(one, one.aperture[1]).reverse()], { fill: APERTURE, alpha: 0.14 });
      for (const edge of one.aperture) pen.path(along(one, edge), { stroke: APERTURE, width: 1.3 });
      pen.path(along(one, 0), { stroke: APERTURE, dash: [2, 3] });
      const [column, centre] = [one.column[0], one.centre[0]];
      pen.text("target " + one.name, place.x(Math.max(column, state.view.x0)) + 6, place.y(centre + one.aperture[1]) - 8, { fill: APERTURE });
    }
  }
  function paint() {
    if (!frame().shape) return;
    if (!state.view) state.view = whole();
    draw(new CanvasPen(canvas, canvas.clientWidth, canvas.clientHeight));
    drawHistogram();
    drawCuts();
    const view = state.view;
    canvas.dataset.view = [view.x0, view.x1, view.y0, view.y1].map((one) => number(one)).join(" ");
    canvas.dataset.limits = [state.low, state.high].map((one) => number(one)).join(" ");
    canvas.dataset.tiles = Object.entries(tiles).filter(([, tile]) => tile).map(([name]) => name).join(" ");
  }
  const keeper = follow(el, canvas, paint);
  const redo = keeper.soon;
  function whole() {
    const [rows, columns] = frame().shape;
    return { x0: -0.5, x1: columns - 0.5, y0: -0.5, y1: rows - 0.5 };
  }

  // where the reader looks
  let waiting = 0;
  function looked() {
    redo();
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const [rows, columns] = frame().shape;
      const { x0, x1, y0, y1 } = state.view;
      const region = [Math.max(0, Math.floor(x0 + 0.5)), Math.max(0, Math.floor(y0 + 0.5)), Math.min(columns, Math.ceil(x1 + 0.5)), Math.min(rows, Math.ceil(y1 + 0.5))];
      const tile = tiles.whole;
      const shrunk = tile && (tile.columns < columns || tile.rows < rows);
      const all = region[0] === 0 && region[1] === 0 && region[2] === columns && region[3] === rows;
      if (shrunk && !all && region[2] > region[0] && region[3] > region[1]) send("region", region);
    }, 120);
  }
  function inside(event, element = canvas) {
    const rect = element.getBoundingClientRect();
    const area = box(rect.width, rect.height);
    const view = state.view;
    return {
      area, px: event.clientX - rect.left, py: event.clientY - rect.top,
      x: view.x0 + ((event.clientX - rect.left - area.x) / area.w) * (view.x1 - view.x0),
      y: view.y1 - ((event.clientY - rect.top - area.y) / area.h) * (view.y1 - view.y0),
    };
  }
  function zoom(part, x, y) {
    const view = state.view;
    const [rows, columns] = frame().shape;
    if (part < 1 && Math.min(view.x1 - view.x0, view.y1 - view.y0) < 4) return;
    if (part > 1 && view.x1 - view.x0 > 3 * columns && view.y1 - view.y0 > 3 * rows) return;
    Object.assign(view, { x0: x + (view.x0 - x) * part, x1: x + (view.x1 - x) * part, y0: y + (view.y0 - y) * part, y1: y + (view.y1 - y) * part });
    looked();
  }
  function pan(dx, dy) {
    const view = state.view;
    const [w, t] = [view.x1 - view.x0, view.y1 - view.y0];
    Object.assign(view, { x0: view.x0 + dx * w, x1: view.x1 + dx * w, y0: view.y0 + dy * t, y1: view.y1 + dy * t });
    looked();
  }
  function reset() { state.view = whole(); looked(); }
  const centre = () => [(state.view.x0 + state.view.x1) / 2, (state.view.y0 + state.view.y1) / 2];

  canvas.addEventListener("wheel", (event) => {
    if (!state.view) return;
    event.preventDefault();
    const at = inside(event);
    zoom(Math.exp(Math.sign(event.deltaY) * 0.2), at.x, at.y);
    say(inside(event));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (!state.view) return;
    const act = {
      ArrowLeft: () => pan(-0.15, 0), ArrowRight: () => pan(0.15, 0), ArrowUp: () => pan(0, 0.15), ArrowDown: () => pan(0, -0.15),
      "+": () => zoom(0.7, ...centre()), "=": () => zoom(0.7, ...centre()), "-": () => zoom(1 / 0.7, ...centre()), 0: reset, c: () => cut(...centre()),
    }[event.key];
    if (act) { event.preventDefault(); act(); }
  });

  // the value under the cursor
  function valueAt(x, y) {
    for (const tile of [tiles.detail, tiles.whole]) {
      if (!tile) continue;
      const [x0, y0, x1, y1] = tile.region;
      if (x < x0 - 0.5 || x >= x1 - 0.5 || y < y0 - 0.5 || y >= y1 - 0.5) continue;
      const column = Math.min(tile.columns - 1, Math.floor(((x + 0.5 - x0) * tile.columns) / (x1 - x0)));
      const row = Math.min(tile.rows - 1, Math.floor(((y + 0.5 - y0) * tile.rows) / (y1 - y0)));
      const exact = tile.columns === x1 - x0 && tile.rows === y1 - y0;
      return { value: tile.values[row * tile.columns + column], flags: tile.flags?.[row * tile.columns + column] || 0, exact };
    }
    return null;
  }
  function between(xs, ys, at) {
    if (!xs || xs.length < 2 || at < Math.min(xs[0], xs.at(-1)) || at > Math.max(xs[0], xs.at(-1))) return null;
    const rising = xs.at(-1) > xs[0];
    let [low, high] = [0, xs.length - 1];
    while (high - low > 1) { const mid = (low + high) >> 1; if ((xs[mid] < at) === rising) low = mid; else high = mid; }
    return ys[low] + ((at - xs[low]) / (xs[high] - xs[low])) * (ys[high] - ys[low]);
  }
  function sky(x, y) {
    if (!frame().wcs) return "";
    const [ra, dec] = skyOf(frame().wcs, x, y);
    const parts = (value, places) => {
      const units = Math.round(Math.abs(value) * 3600 * 10 ** places);
      const all = units / 10 ** places;
      return [Math.floor(all / 3600), Math.floor(all / 60) % 60].map((one) => String(one).padStart(2, "0")).join(":") + ":" + (all % 60).toFixed(places).padStart(places ? 3 + places : 2, "0");
    };
    return `α ${parts(ra / 15, 2)}  δ ${dec < 0 ? "−" : "+"}${parts(dec, 1)}`;
  }
  let last = null;
  function say(at) {
    last = at;
    const found = valueAt(at.x, at.y);
    const wave = between(model.get("wave").column, model.get("wave").wavelength, at.x);
    const marks = found ? MASKS.filter((mask) => found.flags & mask.bits).map((mask) => mask.label.toLowerCase()) : [];
    said.textContent = [
      `x ${Math.round(at.x)}  y ${Math.round(at.y)}`, found ? `${number(found.value)} ${frame().unit}${found.exact ? "" : " (mean of the pixels here)"}` : "",
      wave === null ? "" : `${wave.toFixed(1)} Å`, sky(at.x, at.y), marks.join(", "),
    ].filter(Boolean).join("   ");
  }

  // dragging: an edge of an aperture or zone, an aperture, or the view
  function handleAt(at) {
    if (!state.zones || !model.get("editable")) return null;
    const reach = (6 / at.area.h) * (state.view.y1 - state.view.y0);
    let best = null;
    model.get("apertures").forEach((one, index) => {
      const trace = between(one.column, one.centre, at.x) ?? one.centre[Math.floor(one.centre.length / 2)];
      const off = at.y - trace;
      const edges = [["aperture", 0, one.aperture[0]], ["aperture", 1, one.aperture[1]],
        ...one.zones.flatMap((zone, k) => [["zone", [k, 0], zone[0]], ["zone", [k, 1], zone[1]]])];
      for (const [kind, which, offset] of edges) {
        const distance = Math.abs(off - offset);
        if (distance < reach && (!best || distance < best.distance)) best = { index, kind, which, distance };
      }
      if (!best && off > one.aperture[0] && off < one.aperture[1]) best = { index, kind: "centre", distance: reach };
      one.zones.forEach(([low, high], k) => { if (!best && off > low && off < high) best = { index, kind: "whole zone", which: k, distance: reach }; });
    });
    return best;
  }
  function moved(one, held, dy) {
    const next = { ...one, aperture: [...one.aperture], zones: one.zones.map((zone) => [...zone]), centre: [...one.centre] };
    const from = held.original;
    if (held.kind === "centre") next.centre = from.centre.map((value) => value + dy);
    if (held.kind === "aperture") {
      next.aperture[held.which] = from.aperture[held.which] + dy;
      if (next.aperture[1] - next.aperture[0] < 1) next.aperture = from.aperture;
    }
    if (held.kind === "zone") {
      const [k, side] = held.which;
      next.zones[k][side] = from.zones[k][side] + dy;
      if (next.zones[k][1] - next.zones[k][0] < 1) next.zones[k] = [...from.zones[k]];
    }
    if (held.kind === "whole zone") next.zones[held.which] = from.zones[held.which].map((value) => value + dy);
    return next;
  }
  canvas.addEventListener("pointerdown", (event) => {
    if (!state.view) return;
    canvas.setPointerCapture(event.pointerId);
    const at = inside(event);
    const handle = handleAt(at);
    state.held = { at, event, far: false, view: { ...state.view }, ...handle, original: handle ? model.get("apertures")[handle.index] : null };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!state.view) return;
    const at = inside(event);
    say(at);
    const held = state.held;
    if (!held) {
      const handle = handleAt(at);
      canvas.style.cursor = !handle ? "crosshair" : handle.kind === "aperture" || handle.kind === "zone" ? "ns-resize" : "grab";
      return;
    }
    if (Math.hypot(event.clientX - held.event.clientX, event.clientY - held.event.clientY) > 3) held.far = true;
    if (!held.far) return;
    if (held.original) {
      const list = [...model.get("apertures")];
      list[held.index] = moved(held.original, held, at.y - held.at.y);
      held.list = list;
      // Shown at once; the kernel hears of it when the pointer is let go.
      model.set("apertures", list);
    } else {
      const dx = ((event.clientX - held.event.clientX) / at.area.w) * (held.view.x1 - held.view.x0);
      const dy = ((event.clientY - held.event.clientY) / at.area.h) * (held.view.y1 - held.view.y0);
      Object.assign(state.view, { x0: held.view.x0 - dx, x1: held.view.x1 - dx, y0: held.view.y0 + dy, y1: held.view.y1 + dy });
      looked();
    }
    redo();
  });
  canvas.addEventListener("pointerup", (event) => {
    const held = state.held;
    state.held = null;
    if (!held) return;
    if (held.far && held.list) send("edit", held.list);
    else if (!held.far) { const at = inside(event); cut(at.x, at.y); }
  });

  // cuts
  function cut(x, y) {
    const [rows, columns] = frame().shape;
    const [column, row] = [Math.round(x), Math.round(y)];
    if (column < 0 || row < 0 || column >= columns || row >= rows) { state.cross = null; cuts.hidden = true; redo(); return; }
    state.cross = { x: column, y: row };
    send("cut", [column, row]);
    redo();
  }
  function drawCuts() {
    const found = model.get("cuts");
    cuts.hidden = !state.cross || !found.row;
    if (cuts.hidden) return;
    for (const [element, values, name, range] of [
      [cutRow, found.row, `Row ${found.y}`, [state.view.x0, state.view.x1]], [cutColumn, found.column, `Column ${found.x}`, [state.view.y0, state.view.y1]]]) {
      if (!element.clientWidth) continue;
      const pen = new CanvasPen(element, element.clientWidth, element.clientHeight);
      const area = { x: 66, y: 10, w: pen.width - 80, h: pen.height - 56 };
      pen.rect(0, 0, pen.width, pen.height, colour("surface"));
      pen.rect(area.x, area.y, area.w, area.h, colour("plot"));
      const shown = values.filter((value, i) => value !== null && i >= range[0] && i <= range[1]);
      if (!shown.length) continue;
      const low = shown.reduce((a, b) => Math.min(a, b));
      const high = shown.reduce((a, b) => Math.max(a, b));
      const room = 0.06 * (high - low) || 1;
      const place = axes(pen, area, { x0: range[0], x1: range[1], y0: low - room, y1: high + room }, { x: name, y: "" });
      pen.clip(area.x, area.y, area.w, area.h, () => pen.path(values.map((value, i) => [place.x(i), value === null ? NaN : place.y(value)]), { stroke: colour("accent") }));
    }
  }

  // limits by a histogram
  function drawHistogram() {
    const bins = frame().histogram;
    if (!bins || !histogram.clientWidth) return;
    const pen = new CanvasPen(histogram, histogram.clientWidth, histogram.clientHeight);
    pen.rect(0, 0, pen.width, pen.height, colour("plot"));
    const most = Math.log1p(Math.max(...bins.counts));
    const width = pen.width / bins.counts.length;
    bins.counts.forEach((count, i) => {
      const tall = most ? (Math.log1p(count) / most) * (pen.height - 6) : 0;
      pen.rect(i * width, pen.height - tall, width, tall, colour("muted"), 0.8);
    });
    for (const value of [state.low, state.high]) {
      const x = Math.max(1, Math.min(pen.width - 1, ((value - bins.low) / (bins.high - bins.low)) * pen.width));
      pen.path([[x, 0], [x, pen.height]], { stroke: colour("accent"), width: 2 });
    }
  }
  let limit = null;
  function toValue(event) {
    const rect = histogram.getBoundingClientRect();
    const bins = frame().histogram;
    return bins.low + ((event.clientX - rect.left) / rect.width) * (bins.high - bins.low);
  }
  histogram.addEventListener("pointerdown", (event) => {
    if (!frame().histogram) return;
    histogram.setPointerCapture(event.pointerId);
    const value = toValue(event);
    limit = Math.abs(value - state.low) < Math.abs(value - state.high) ? "low" : "high";
    byHand(limit, value);
  });
  histogram.addEventListener("pointermove", (event) => { if (limit) byHand(limit, toValue(event)); });
  histogram.addEventListener("pointerup", () => { limit = null; });
  function byHand(which, value) {
    if (!Number.isFinite(value)) return;
    const next = { low: state.low, high: state.high, [which]: value };
    if (next.low >= next.high) return;
    Object.assign(state, next);
    if (state.method !== "by hand") { state.method = "by hand"; drawLevels(); }
    tell();
  }
  function tell() {
    for (const [name, field] of Object.entries(fields)) if (document.activeElement !== field) field.value = number(state[name]);
    recolour();
  }
  function find() {
    const bins = frame().histogram;
    if (state.method === "zscale" && frame().limits) Object.assign(state, { low: frame().limits.low, high: frame().limits.high });
    if (state.method === "minmax" && frame().range) [state.low, state.high] = frame().range;
    if (state.method.startsWith("percentile") && tiles.whole) {
      const some = [];
      const step = Math.max(1, Math.floor(tiles.whole.values.length / 60_000));
      for (let i = 0; i < tiles.whole.values.length; i += step) if (Number.isFinite(tiles.whole.values[i])) some.push(tiles.whole.values[i]);
      some.sort((a, b) => a - b);
      const rest = (100 - Number(state.method.split(" ")[1])) / 200;
      if (some.length) Object.assign(state, { low: some[Math.floor(rest * (some.length - 1))], high: some[Math.ceil((1 - rest) * (some.length - 1))] });
    }
    if (!(state.high > state.low)) state.high = state.low + 1;
    if (bins) tell();
  }
  const fields = { low: null, high: null };
  for (const name of Object.keys(fields)) fields[name] = h("input", { type: "number", step: "any", "aria-label": `${name === "low" ? "Lowest" : "Highest"} value shown`, onchange: () => byHand(name, fields[name].valueAsNumber) });
  function keep() { send("choices", { limits: state.method === "by hand" ? "zscale" : state.method, stretch: state.stretch, colours: state.colours, masks: [...state.masks] }); }
  function drawLevels() {
    levels.replaceChildren(pick("Limits", ["zscale", "percentile 99.5", "percentile 98", "percentile 90", "minmax", "by hand"], state.method, (value) => { state.method = value; find(); keep(); }),
      h("label", { class: "gl-choice" }, h("small", {}, "from"), fields.low), h("label", { class: "gl-choice" }, h("small", {}, "to"), fields.high),
      h("span", { class: "gl-muted" }, "or drag the two lines in the histogram"));
  }
  function drawTools() {
    tools.replaceChildren(
      pick("Colours", Object.keys(model.get("colours")), state.colours, (value) => { state.colours = value; recolour(); keep(); }),
      pick("Stretch", ["linear", "log", "asinh"], state.stretch, (value) => { state.stretch = value; recolour(); keep(); }),
      ...MASKS.map((mask) => h("span", { class: "gl-family", style: `--tint:rgb(${mask.rgb})` }, check(mask.label, state.masks.has(mask.key), (on) => { if (on) state.masks.add(mask.key); else state.masks.delete(mask.key); recolour(); keep(); }))),
      h("span", { class: "gl-family", style: "--tint:" + APERTURE }, check("Apertures", state.zones, (on) => { state.zones = on; redo(); })),
      h("button", { type: "button", onclick: reset }, "Whole view"),
      exporter(() => frame().name || "image", canvas, draw, () => {
        const found = model.get("cuts");
        if (!state.cross || !found.row) return [["Choose a cut first: click on the image."]];
        const rows = [["cut", "pixel", "value"]];
        found.row.forEach((value, i) => rows.push([`row ${found.y}`, i, value ?? ""]));
        found.column.forEach((value, i) => rows.push([`column ${found.x}`, i, value ?? ""]));
        return rows;
      }));
  }

  // apertures by hand
  redraw(model, ["apertures", "editable", "hand"], () => {
    const told = model.get("hand");
    const button = (key, label, reason, main) => h("button", {
      type: "button", class: main ? "gl-main" : null, "data-hand": key, "aria-disabled": reason ? "true" : null, title: reason || null,
      onclick: () => { if (!reason) send(key, centre()); },
    }, label);
    hand.hidden = !model.get("editable");
    hand.replaceChildren(
      button("apply", "Re-extract with this", told.changed ? "" : "Drag an aperture or a background zone first.", true),
      button("undo", "Undo", told.changed ? "" : "Nothing has been changed."),
      button("place", "Add an aperture", ""),
      button("remove", "Remove the last", model.get("apertures").length > 1 ? "" : "One aperture has to stay."),
      button("automatic", "Find targets automatically", ""),
      h("span", { class: "gl-muted", role: "status" }, told.message || "Drag edges and zones. What you extract with is used for the next frames of this target tonight."));
    redo();
  });
  drawTools();
  drawLevels();
  let shown = 0;
  redraw(model, ["frame", "whole", "whole_pixels", "whole_flags"], () => {
    if (!frame().shape) return;
    take("whole");
    if (frame().id !== shown) {
      shown = frame().id;
      Object.assign(state, { view: null, cross: null });
      if (state.method === "by hand") state.method = "zscale";
      drawLevels();
    }
    find();
  });
  redraw(model, ["detail", "detail_pixels", "detail_flags"], () => { take("detail"); if (last) say(last); redo(); });
  redraw(model, ["cuts"], redo);
  redraw(model, ["wave"], () => { if (last) say(last); redo(); });  // it comes after the picture
  return keeper.stop;
}
export default { render };
