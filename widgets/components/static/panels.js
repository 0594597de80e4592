// Small figures of what a step saw: lines and points on axes, each with a sentence.
function render({ model, el }) {
  el.classList.add("gl-panels");
  let keepers = [];
  const tint = { line: "accent", fit: "bad", points: "accent", dropped: "muted", band: "muted", level: "line" };
  function limits(values, room) {
    const good = values.filter((value) => value !== null && Number.isFinite(value));
    if (!good.length) return [0, 1];
    const low = good.reduce((a, b) => Math.min(a, b));
    const high = good.reduce((a, b) => Math.max(a, b));
    const extra = room * (high - low) || Math.abs(high) * 0.05 || 1;
    return [low - extra, high + extra];
  }
  function paint(panel, pen) {
    const area = { x: 76, y: 10, w: pen.width - 90, h: pen.height - 58 };
    pen.rect(0, 0, pen.width, pen.height, colour("surface"));
    pen.rect(area.x, area.y, area.w, area.h, colour("plot"));
    const [x0, x1] = panel.x_range || limits(panel.series.flatMap((one) => one.x), 0.01);
    const [y0, y1] = panel.y_range || limits(panel.series.flatMap((one) => one.y), 0.06);
    const place = axes(pen, area, { x0, x1, y0, y1 }, { x: panel.x_name, y: panel.y_name });
    pen.clip(area.x, area.y, area.w, area.h, () => {
      for (const one of panel.series) {
        const points = one.x.map((value, i) => [place.x(value), one.y[i] === null ? NaN : place.y(one.y[i])]);
        const name = colour(tint[one.kind] || "accent");
        if (one.kind === "points" || one.kind === "dropped") for (const [x, y] of points) { if (Number.isFinite(y)) pen.dot(x, y, 2.6, name); }
        else pen.path(points, { stroke: name, width: one.kind === "fit" ? 1.8 : 1.1, dash: one.kind === "level" ? [4, 3] : [] });
      }
      let last = -99;
      for (const mark of [...(panel.marks || [])].sort((a, b) => a.x - b.x)) {
        pen.path([[place.x(mark.x), area.y], [place.x(mark.x), area.y + 12]], { stroke: colour("warn") });
        // A name that would lie on the one before is left out.
        if (!mark.text || place.x(mark.x) - last < 13) continue;
        last = place.x(mark.x);
        pen.text(mark.text, place.x(mark.x), area.y + 16, { fill: colour("muted"), align: "right", turn: -Math.PI / 2 });
      }
    });
  }
  redraw(model, ["panels", "message"], () => {
    keepers.forEach((keeper) => keeper.stop());
    keepers = [];
    const figures = model.get("panels").map((panel) => {
      const canvas = h("canvas", { class: "gl-canvas", role: "img", "aria-label": panel.title + ". " + panel.words });
      const figure = h("figure", { "data-panel": panel.key }, h("figcaption", {}, h("b", {}, panel.title), h("span", { class: "gl-muted" }, panel.words)), canvas);
      const keeper = follow(figure, canvas, () => paint(panel, new CanvasPen(canvas, canvas.clientWidth, canvas.clientHeight)));
      keepers.push(keeper);
      keeper.soon();
      return figure;
    });
    el.replaceChildren(...figures, model.get("message") ? h("p", { class: "gl-note", role: "status" }, model.get("message")) : "");
  });
  return () => keepers.forEach((keeper) => keeper.stop());
}
export default { render };
