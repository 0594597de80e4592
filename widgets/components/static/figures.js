// Small figures in SVG: bars over hours, points over nights. Each has its numbers as text too.
const SVG = "http://www.w3.org/2000/svg";
function s(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.flat(2).filter((child) => child !== null && child !== undefined));
  return node;
}
const W = 420, H = 150, LEFT = 58, RIGHT = 10, TOP = 10, BOTTOM = 24;
const short = (value) => Number(value.toPrecision(4)).toLocaleString("en", { maximumSignificantDigits: 4 });

function axes(low, high, left, right) {
  const y = (v) => H - BOTTOM - (v - low) / (high - low || 1) * (H - TOP - BOTTOM);
  return [
    ...[low, (low + high) / 2, high].map((v) => [
      s("line", { x1: LEFT, x2: W - RIGHT, y1: y(v), y2: y(v), class: "gl-grid" }),
      s("text", { x: LEFT - 6, y: y(v) + 4, "text-anchor": "end" }, short(v))]),
    s("text", { x: LEFT, y: H - 6 }, left), s("text", { x: W - RIGHT, y: H - 6, "text-anchor": "end" }, right)].flat();
}
function bars(figure) {
  const high = Math.max(1, ...figure.bars.map((bar) => bar.parts.reduce((sum, part) => sum + part.value, 0)));
  const step = (W - LEFT - RIGHT) / Math.max(1, figure.bars.length);
  const scale = (H - TOP - BOTTOM) / high;
  const drawn = figure.bars.flatMap((bar, index) => {
    let base = H - BOTTOM;
    return bar.parts.map((part) => {
      const size = part.value * scale;
      base -= size;
      return s("rect", { x: LEFT + index * step + 1, y: base, width: Math.max(1, step - 2), height: size, class: "gl-mark gl-mark-" + part.kind },
        s("title", {}, bar.label + ": " + part.value + " " + part.name));
    });
  });
  const labels = figure.bars.map((bar, index) => bar.tick ? s("text", { x: LEFT + (index + 0.5) * step, y: H - 6, "text-anchor": "middle" }, bar.tick) : null);
  return s("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": figure.said }, axes(0, high, "", ""), drawn, labels);
}
function points(figure) {
  const values = figure.points.map((point) => point.y);
  let low = Math.min(...values), high = Math.max(...values);
  const room = (high - low || Math.abs(high) * 0.02 || 1) * 0.15;
  low -= room; high += room;
  const first = figure.points[0].x, last = figure.points[figure.points.length - 1].x;
  const x = (v) => last === first ? (LEFT + W - RIGHT) / 2 : LEFT + 6 + (v - first) / (last - first) * (W - LEFT - RIGHT - 12);
  const y = (v) => H - BOTTOM - (v - low) / (high - low) * (H - TOP - BOTTOM);
  const line = figure.points.map((p, i) => (i ? "L" : "M") + x(p.x).toFixed(1) + " " + y(p.y).toFixed(1)).join("");
  return s("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": figure.said }, axes(low, high, figure.from, last === first ? "" : figure.to),
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
