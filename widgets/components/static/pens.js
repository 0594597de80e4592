// What the figures of the Advanced page draw with: the same calls on a canvas and as SVG, so that
// what is exported is what is seen.
const FONT = "12px system-ui, 'DejaVu Sans', sans-serif";

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--gl-" + name).trim() || "#888";
}

class CanvasPen {
  constructor(canvas, width, height) {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    this.ctx = canvas.getContext("2d");
    this.ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    Object.assign(this, { width, height });
  }
  rect(x, y, w, h, fill, alpha = 1) {
    this.ctx.globalAlpha = alpha;
    this.ctx.fillStyle = fill;
    this.ctx.fillRect(x, y, w, h);
    this.ctx.globalAlpha = 1;
  }
  path(points, { stroke, fill, width = 1, alpha = 1, dash = [] }) {
    const ctx = this.ctx;
    ctx.globalAlpha = alpha;
    ctx.beginPath();
    let down = false;
    for (const [x, y] of points) {
      if (!Number.isFinite(x) || !Number.isFinite(y)) { down = false; continue; }
      if (down) ctx.lineTo(x, y); else ctx.moveTo(x, y);
      down = true;
    }
    if (fill) { ctx.fillStyle = fill; ctx.fill(); }
    if (stroke) { ctx.strokeStyle = stroke; ctx.lineWidth = width; ctx.setLineDash(dash); ctx.stroke(); ctx.setLineDash([]); }
    ctx.globalAlpha = 1;
  }
  dot(x, y, radius, fill) {
    this.ctx.fillStyle = fill;
    this.ctx.beginPath();
    this.ctx.arc(x, y, radius, 0, 7);
    this.ctx.fill();
  }
  text(words, x, y, { fill, align = "left", turn = 0 }) {
    const ctx = this.ctx;
    ctx.save();
    ctx.translate(x, y);
    ctx.rotate(turn);
    ctx.font = FONT;
    ctx.fillStyle = fill;
    ctx.textAlign = align;
    ctx.textBaseline = "middle";
    ctx.fillText(words, 0, 0);
    ctx.restore();
  }
  image(source, [sx, sy, sw, sh], [x, y, w, h]) {
    this.ctx.imageSmoothingEnabled = false;
    this.ctx.drawImage(source, sx, sy, sw, sh, x, y, w, h);
  }
  clip(x, y, w, h, draw) {
    this.ctx.save();
    this.ctx.beginPath();
    this.ctx.rect(x, y, w, h);
    this.ctx.clip();
    draw();
    this.ctx.restore();
  }
}

class SvgPen {
  constructor(width, height) {
    Object.assign(this, { width, height, parts: [], clips: 0 });
  }
  rect(x, y, w, h, fill, alpha = 1) {
    this.parts.push(`<rect x="${x}" y="${y}" width="${w}" height="${h}" fill="${fill}" fill-opacity="${alpha}"/>`);
  }
  path(points, { stroke = "none", fill = "none", width = 1, alpha = 1, dash = [] }) {
    let text = "";
    let down = false;
    for (const [x, y] of points) {
      if (!Number.isFinite(x) || !Number.isFinite(y)) { down = false; continue; }
      text += (down ? "L" : "M") + x.toFixed(2) + " " + y.toFixed(2);
      down = true;
    }
    if (!text) return;
    this.parts.push(`<path d="${text}" stroke="${stroke}" fill="${fill}" stroke-width="${width}" opacity="${alpha}" stroke-dasharray="${dash.join(" ")}"/>`);
  }
  dot(x, y, radius, fill) { this.parts.push(`<circle cx="${x}" cy="${y}" r="${radius}" fill="${fill}"/>`); }
  text(words, x, y, { fill, align = "left", turn = 0 }) {
    const plain = String(words).replace(/[&<>"']/g, (sign) => "&#" + sign.charCodeAt(0) + ";");
    const anchor = { left: "start", center: "middle", right: "end" }[align];
    this.parts.push(`<text transform="translate(${x} ${y}) rotate(${(turn * 180) / Math.PI})" fill="${fill}" text-anchor="${anchor}" dominant-baseline="middle" font-family="DejaVu Sans, sans-serif" font-size="12">${plain}</text>`);
  }
  image(source, [sx, sy, sw, sh], [x, y, w, h]) {
    const part = document.createElement("canvas");
    part.width = Math.max(1, Math.round(sw));
    part.height = Math.max(1, Math.round(sh));
    part.getContext("2d").drawImage(source, sx, sy, sw, sh, 0, 0, part.width, part.height);
    this.parts.push(`<image x="${x}" y="${y}" width="${w}" height="${h}" preserveAspectRatio="none" style="image-rendering:pixelated" href="${part.toDataURL()}"/>`);
  }
  clip(x, y, w, h, draw) {
    const name = "c" + this.clips++;
    this.parts.push(`<clipPath id="${name}"><rect x="${x}" y="${y}" width="${w}" height="${h}"/></clipPath><g clip-path="url(#${name})">`);
    draw();
    this.parts.push("</g>");
  }
  toString() {
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${this.width} ${this.height}" width="${this.width}" height="${this.height}">${this.parts.join("")}</svg>`;
  }
}

function ticks(low, high, count) {
  if (!(high > low)) return [];
  const rough = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough * 0.999);
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n += 1) found.push(n * step);
  return found;
}

function number(value, step = 0) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (step) {
    if (Math.abs(value) < 1e-9 * step) return "0";
    const largest = Math.abs(value);
    if (largest && (largest >= 1e6 || largest < 1e-4)) return value.toExponential(Math.max(0, Math.min(3, Math.ceil(Math.log10(largest / step)))));
    let places = 0;
    while (places < 6 && Math.abs(step * 10 ** places - Math.round(step * 10 ** places)) > 1e-6 * step * 10 ** places) places += 1;
    return value.toFixed(places);
  }
  const size = Math.abs(value);
  if (size && (size >= 1e6 || size < 1e-3)) return value.toExponential(4);
  return Number(value.toPrecision(7)).toString();
}

// A pair of axes around `box`, and the functions from values to places.
function axes(pen, box, view, names) {
  const x = (value) => box.x + ((value - view.x0) / (view.x1 - view.x0)) * box.w;
  const y = (value) => box.y + box.h - ((value - view.y0) / (view.y1 - view.y0)) * box.h;
  const line = colour("line");
  const muted = colour("muted");
  const across = ticks(view.x0, view.x1, Math.max(2, Math.round(box.w / 95)));
  const up = ticks(view.y0, view.y1, Math.max(2, Math.round(box.h / 48)));
  pen.path([[box.x, box.y], [box.x + box.w, box.y], [box.x + box.w, box.y + box.h], [box.x, box.y + box.h], [box.x, box.y]], { stroke: line });
  for (const value of across) {
    pen.path([[x(value), box.y + box.h], [x(value), box.y + box.h + 4]], { stroke: line });
    pen.text(number(value, across[1] - across[0]), x(value), box.y + box.h + 14, { fill: muted, align: "center" });
  }
  for (const value of up) {
    pen.path([[box.x - 4, y(value)], [box.x, y(value)]], { stroke: line });
    pen.text(number(value, up[1] - up[0]), box.x - 8, y(value), { fill: muted, align: "right" });
  }
  if (names.x) pen.text(names.x, box.x + box.w / 2, box.y + box.h + 34, { fill: colour("text"), align: "center" });
  if (names.y) pen.text(names.y, 13, box.y + box.h / 2, { fill: colour("text"), align: "center", turn: -Math.PI / 2 });
  return { x, y };
}

// Hand the reader a file that was made here.
function save(name, content, kind) {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type: kind }));
  const link = h("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

// Buttons that export a figure; `csv` returns rows of cells.
function exporter(stem, canvas, draw, csv) {
  const name = (ending) => stem().replace(/[^\w.+-]+/g, "_") + "." + ending;
  const button = (label, act) => h("button", { type: "button", "data-export": label.toLowerCase(), onclick: act }, label);
  return h("span", { class: "gl-exports", role: "group", "aria-label": "Export what is shown" }, h("small", {}, "Export"),
    button("PNG", () => canvas.toBlob((blob) => save(name("png"), blob))),
    button("SVG", () => {
      const pen = new SvgPen(canvas.clientWidth, canvas.clientHeight);
      draw(pen);
      save(name("svg"), pen.toString(), "image/svg+xml");
    }),
    button("CSV", () => save(name("csv"), csv().map((row) => row.join(",")).join("\n") + "\n", "text/csv")));
}

// Draw again when the element gets another size or the page another theme; stop with the view.
function follow(el, canvas, draw) {
  let asked = 0;
  const soon = () => { if (!asked) asked = requestAnimationFrame(() => { asked = 0; if (canvas.clientWidth) draw(); }); };
  const size = new ResizeObserver(soon);
  const theme = new MutationObserver(soon);
  size.observe(el);
  theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-gl-theme"] });
  return { soon, stop: () => { size.disconnect(); theme.disconnect(); } };
}

function check(label, on, act) {
  return h("label", { class: "gl-tick" }, h("input", { type: "checkbox", checked: on, onchange: (event) => act(event.target.checked) }), " " + label);
}

function pick(label, options, value, act) {
  const field = h("select", { onchange: () => act(field.value) }, options.map((one) => h("option", { value: one }, one)));
  field.value = value;
  return h("label", { class: "gl-choice" }, h("small", {}, label), field);
}
