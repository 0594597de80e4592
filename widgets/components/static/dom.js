// What every component stands on. Text from outside (headers, names, comments) only ever becomes
// text nodes and attributes of ours: nothing here can make HTML of it.
function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else node.setAttribute(name, value);
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// Draw again when any of the traits changes, once per frame however many change.
function redraw(model, names, draw) {
  let waiting = false;
  const later = () => {
    if (waiting) return;
    waiting = true;
    queueMicrotask(() => { waiting = false; draw(); });
  };
  for (const name of names) model.on("change:" + name, later);
  draw();
}

// Make the children of `parent` fit `items`. What stays keeps its element: one that is replaced
// while a reader presses on it would swallow the click, and lose the keyboard's place.
function fill(parent, items, key, make, dress) {
  // What is gone goes first: one that is moved loses the keyboard too.
  const wanted = new Set(items.map((item) => String(key(item))));
  for (const node of [...parent.children]) if (!wanted.has(node.dataset.key)) node.remove();
  const before = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  items.forEach((item, place) => {
    const name = String(key(item));
    const node = before.get(name) || make(item);
    node.dataset.key = name;
    dress(node, item);
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] || null);
  });
  while (parent.children.length > items.length) parent.lastElementChild.remove();
}

// Make the children of `node` anew where what they say has changed, and only there: for the same
// reasons. The keyboard keeps its place among those that are new.
function renew(node, said, make) {
  if (node.said === said) return;
  node.said = said;
  const reached = () => [...node.querySelectorAll("a, button, input, select")];
  const place = node.contains(document.activeElement) ? reached().indexOf(document.activeElement) : -1;
  node.replaceChildren(...make());
  if (place >= 0) reached()[place]?.focus();
}

// "2026-11-21T03:04:05Z" as a reader of a night wants it.
function moment(text) {
  if (!text) return "";
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return String(text);
  return date.toISOString().replace("T", " ").slice(0, 19) + " UTC";
}

function ago(text) {
  const seconds = (Date.now() - new Date(text).getTime()) / 1000;
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 60) return "just now";
  if (seconds < 3600) return Math.floor(seconds / 60) + " min ago";
  if (seconds < 86400) return Math.floor(seconds / 3600) + " h ago";
  return Math.floor(seconds / 86400) + " d ago";
}
