// Hands the reader a small text file that the kernel wrote.
function render({ model, el }) {
  el.hidden = true;
  model.on("change:serial", () => {
    const text = model.get("text").replaceAll("__ORIGIN__", location.origin);
    const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    const link = h("a", { href: url, download: model.get("name") });
    el.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  });
}
export default { render };
