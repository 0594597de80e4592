// What can be done with the file shown, and the jobs that are doing it.
function render({ model, el }) {
  el.classList.add("gl-actions");
  const buttons = h("div", { class: "gl-buttons", role: "group", "aria-label": "Actions" });
  const sure = h("div", { class: "gl-sure", role: "alertdialog", "aria-label": "Confirm", hidden: true });
  const jobs = h("div", { class: "gl-jobs", role: "status" });
  el.append(buttons, sure, jobs);

  // With the file that the reader sees: the page may go on to a newer one meanwhile.
  function act(action, choice) { model.send({ what: "act", value: { key: action.key, file: action.file, choice: choice || null } }); }

  let asked = null;
  function ask(action) {
    asked = action;
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
    const actions = model.get("actions");
    // A question stays as long as it can be answered: news of the same file do not take it away.
    if (!actions.some((one) => one.key === asked?.key && one.file === asked.file && !one.reason)) sure.hidden = true;
    renew(buttons, JSON.stringify(actions), () => actions.map(button));
  });
  redraw(model, ["jobs"], () => {
    const dress = (node, job) => {
      node.className = "gl-job gl-" + job.tone;
      // The button stays while the job goes on: progress must not swallow a press on it.
      if (node.said === String(job.running) && job.running) { node.children[1].textContent = job.message; measure(node.querySelector("progress"), job); return; }
      node.said = String(job.running);
      node.replaceChildren(...parts(job));
    };
    fill(jobs, model.get("jobs"), (job) => job.id, () => h("div", {}), dress);
  });
  function measure(bar, job) {
    if (job.progress > 0) { bar.max = 1; bar.value = job.progress; } else bar.removeAttribute("value");
  }
  function parts(job) {
    return [
      h("b", {}, job.label), h("span", {}, job.message),
      job.running ? h("progress", job.progress > 0 ? { max: "1", value: String(job.progress), "aria-label": job.label } : { "aria-label": job.label }) : null,
      job.running && job.id ? h("button", { type: "button", onclick: () => model.send({ what: "cancel", value: job.id }) }, "Cancel") : null,
      job.running ? null : h("button", { type: "button", "aria-label": "Dismiss", onclick: () => model.send({ what: "dismiss", value: job.id }) }, "×"),
    ].filter(Boolean);
  }
}
export default { render };
