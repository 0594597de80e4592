// Small figures in SVG: bars over hours, points over nights. Each has its numbers as text too.
const SVG = "http://www.w3.org/2000/svg";
function s(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.flat(2).filter((child) => child !== null && child !== undefined));
  return node;
}
const W = 420, H = 176, LEFT = 66, RIGHT = 10, TOP = 10, BOTTOM = 40;
const MINUTE = 60, HOUR = 3600, DAY = 86400;
const STEPS = [5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 5 * DAY, 10 * DAY, 30 * DAY, 90 * DAY, 365 * DAY];

// Round values that hold low to high: one, two or five times a power of ten apart.
function ticks(low, high, whole) {
  const rough = (high - low || 1) / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].find((one) => one * power >= rough * 0.999) * power;
  if (whole) step = Math.max(1, Math.round(step));
  const first = Math.floor(low / step + 1e-9), last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => {
    const value = (first + i) * step;
    return { value, text: value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }) };
  });
}
function moments(first, last) {
  const span = last - first;
  const step = STEPS.find((one) => span / one <= 4) || STEPS.at(-1);
  const found = [];
  for (let at = Math.ceil(first / step) * step; at <= last; at += step) found.push(at);
  const day = (at) => new Date(at * 1000).toISOString().slice(0, 10);
  const time = (at) => new Date(at * 1000).toISOString().slice(11, 16);
  if (!found.length) found.push(first);
  const days = day(first) === day(last) ? day(first) : day(first) + " to " + day(last);
  return { marks: found.map((at) => ({ at, text: step >= DAY ? day(at).slice(5) : time(at) })), said: days + ", UTC" };
}
function axes(marks, y, unit, along) {
  const middle = (TOP + H - BOTTOM) / 2;
  return [
    ...marks.flatMap((mark) => [
      s("line", { x1: LEFT, x2: W - RIGHT, y1: y(mark.value), y2: y(mark.value), class: "gl-grid" }),
      s("text", { x: LEFT - 6, y: y(mark.value) + 4, "text-anchor": "end" }, mark.text)]),
    s("text", { x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})`, class: "gl-axis" }, unit || ""),
    s("text", { x: (LEFT + W - RIGHT) / 2, y: H - 5, "text-anchor": "middle", class: "gl-axis" }, along || "")];
}
function bars(figure) {
  const high = Math.max(1, ...figure.bars.map((bar) => bar.parts.reduce((sum, part) => sum + part.value, 0)));
  const marks = ticks(0, high, true);
  const top = marks.at(-1).value;
  const step = (W - LEFT - RIGHT) / Math.max(1, figure.bars.length);
  const y = (v) => H - BOTTOM - v / top * (H - TOP - BOTTOM);
  const drawn = figure.bars.flatMap((bar, index) => {
    let base = 0;
    return bar.parts.map((part) => {
      const from = y(base);
      base += part.value;
      return s("rect", { x: LEFT + index * step + 1, y: y(base), width: Math.max(1, step - 2), height: from - y(base), class: "gl-mark gl-mark-" + part.kind },
        s("title", {}, bar.label + ": " + part.value + " " + part.name));
    });
  });
  const labels = figure.bars.map((bar, index) => bar.tick ? s("text", { x: LEFT + (index + 0.5) * step, y: H - BOTTOM + 14, "text-anchor": "middle" }, bar.tick) : null);
  return s("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": figure.said }, axes(marks, y, figure.unit, figure.along), drawn, labels);
}
function points(figure) {
  const values = figure.points.map((point) => point.y);
  let low = Math.min(...values), high = Math.max(...values);
  // What is usual must not look like an event: the axis never shows less than this much.
  const more = Math.max(0.1 * (high - low), ((figure.span || 0) - (high - low)) / 2, 1e-9 * Math.abs(high));
  // What cannot be negative has no axis below nought.
  const marks = ticks(low < 0 ? low - more : Math.max(0, low - more), high + more, false);
  low = marks[0].value; high = marks.at(-1).value;
  const first = figure.points[0].x, last = figure.points.at(-1).x;
  const x = (v) => last === first ? (LEFT + W - RIGHT) / 2 : LEFT + 6 + (v - first) / (last - first) * (W - LEFT - RIGHT - 12);
  const y = (v) => H - BOTTOM - (v - low) / (high - low) * (H - TOP - BOTTOM);
  const line = figure.points.map((p, i) => (i ? "L" : "M") + x(p.x).toFixed(1) + " " + y(p.y).toFixed(1)).join("");
  const times = moments(first, last);
  return s("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": figure.said }, axes(marks, y, figure.unit, times.said),
    times.marks.map((mark) => s("text", { x: x(mark.at), y: H - BOTTOM + 14, "text-anchor": "middle" }, mark.text)),
    s("path", { d: line, class: "gl-trend" }),
    figure.points.map((p) => s("circle", { cx: x(p.x), cy: y(p.y), r: 3.2, class: "gl-dot" + (p.tone ? " gl-dot-" + p.tone : "") }, s("title", {}, p.label))));
}
function render({ model, el }) {
  el.classList.add("gl-figures");
  redraw(model, ["figures"], () => {
    el.replaceChildren(...model.get("figures").map((figure) => h("figure", { class: "gl-card", "data-figure": figure.key },
      h("figcaption", {}, h("b", {}, figure.title), figure.value ? h("span", { class: "gl-figurevalue gl-" + (figure.tone || "plain") }, figure.value) : null),
      figure.bars ? bars(figure) : figure.points?.length ? points(figure) : h("p", { class: "gl-viewnote gl-slim" }, figure.empty || "Nothing was measured yet."),
      figure.legend ? h("p", { class: "gl-legend" }, figure.legend.map((one) => h("span", { class: "gl-legend-" + one.kind }, one.name))) : null,
      figure.note ? h("p", { class: "gl-muted gl-figurenote" }, figure.note) : null)));
  });
}
export default { render };
