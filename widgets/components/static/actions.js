// What can be done with the file shown, and the jobs that are doing it.
function render({ model, el }) {
  el.classList.add("gl-actions");
  const buttons = h("div", { class: "gl-buttons", role: "group", "aria-label": "Actions" });
  const sure = h("div", { class: "gl-sure", role: "alertdialog", "aria-label": "Confirm", hidden: true });
  const jobs = h("div", { class: "gl-jobs", role: "status" });
  el.append(buttons, sure, jobs);

  // With the file that the reader sees: the page may go on to a newer one meanwhile.
  function act(action, choice) { model.send({ what: "act", value: { key: action.key, file: action.file, choice: choice || null } }); }

  function ask(action) {
    const close = () => { sure.hidden = true; };
    const cancel = h("button", { type: "button", onclick: close }, "Keep it");
    const options = action.options
      ? h("select", { "aria-label": action.label }, action.options.map((one) => h("option", { value: one.value }, one.label))) : null;
    sure.replaceChildren(h("p", {}, action.confirm), h("div", {}, options,
      h("button", { type: "button", class: options ? "gl-main" : "gl-danger", onclick: () => { close(); act(action, options?.value); } }, action.label),
      cancel));
    sure.hidden = false;
    (options || cancel).focus();
  }
  sure.addEventListener("keydown", (event) => { if (event.key === "Escape") sure.hidden = true; });

  function button(action) {
    const style = action.key === "delete" ? "gl-danger" : action.main ? "gl-main" : null;
    if (action.href && !action.reason) {
      // A navigation, so that a browser that the service does not know yet is signed in on the
      // way; in a tab of its own, because leaving this page ends its kernel.
      return h("a", { class: "gl-button " + (style || ""), href: action.href, target: "_blank", rel: "noopener", "data-action": action.key }, action.label);
    }
    return h("button", {
      type: "button", class: style, "data-action": action.key,
      // Not `disabled`: the reason must be reachable by keyboard and screen reader.
      "aria-disabled": action.reason ? "true" : null, title: action.reason || null,
      onclick: () => {
        if (action.reason) return;
        if (action.confirm) ask(action);
        else act(action);
      },
    }, action.label);
  }

  redraw(model, ["actions"], () => {
    sure.hidden = true;
    buttons.replaceChildren(...model.get("actions").map(button));
  });
  redraw(model, ["jobs"], () => {
    jobs.replaceChildren(...model.get("jobs").map((job) => h("div", { class: "gl-job gl-" + job.tone },
      h("b", {}, job.label), h("span", {}, job.message),
      job.running ? h("progress", job.progress > 0 ? { max: "1", value: String(job.progress), "aria-label": job.label } : { "aria-label": job.label }) : null,
      job.running && job.id ? h("button", { type: "button", onclick: () => model.send({ what: "cancel", value: job.id }) }, "Cancel") : null,
      job.running ? null : h("button", { type: "button", "aria-label": "Dismiss", onclick: () => model.send({ what: "dismiss", value: job.id }) }, "×"))));
  });
}
export default { render };
