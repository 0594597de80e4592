// The colour bar beside an image.
function render({ model, el }) {
  el.classList.add("gl-colourbar");
  const strip = h("div", { class: "gl-strip" });
  const marks = h("div", { class: "gl-marks" });
  el.append(strip, marks);
  redraw(model, ["bar"], () => {
    const bar = model.get("bar");
    if (!bar.colours) return;
    strip.style.background = "linear-gradient(to top, " + bar.colours.join(", ") + ")";
    marks.replaceChildren(...bar.marks.map((mark) => {
      const label = h("span", {}, mark.text);
      label.style.bottom = 100 * mark.at + "%";
      return label;
    }));
  });
}
export default { render };
