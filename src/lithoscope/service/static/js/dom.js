// Elements are built from text nodes only: data never reach the page as markup.

/** Return an element; `props` sets attributes, `class`, `on` listeners, `data` and DOM properties. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "on") for (const [type, act] of Object.entries(value)) element.addEventListener(type, act);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/** Replace all that an element holds. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** A panel with a heading; `extra` goes beside the heading. */
export function panel(title, className, body, extra = null, level = "h2") {
  const heading = h(level, {}, title);
  return h("section", { class: `panel ${className}`, "aria-label": title }, h("header", {}, heading, extra), body);
}

/** A row of exclusive buttons; `choices` is [[value, text], ...]. */
export function segments(label, choices, current, choose) {
  const buttons = choices.map(([value, text]) => h("button", {
    type: "button", "aria-pressed": String(value === current), on: { click: () => set(value) },
  }, text));
  function set(value) {
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(choices[i][0] === value)));
    choose(value);
  }
  return h("span", { class: "seg", role: "group", "aria-label": label }, buttons);
}

/** A table from rows of cells; a cell is text, a node, or {value, class}. */
export function table(caption, heads, rows) {
  const cell = (tag, item) => item && typeof item === "object" && !(item instanceof Node) && "value" in item
    ? h(tag, { class: item.class }, item.value) : h(tag, {}, item);
  return h("table", {},
    h("caption", { class: "vh" }, caption),
    h("thead", {}, h("tr", {}, heads.map((head) => {
      const element = cell("th", head);
      element.scope = "col";
      return element;
    }))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((item) => cell("td", item))))));
}

const tip = () => document.getElementById("tip");

/** Show a small note beside the pointer; lines are separated by a newline. */
export function showTip(text, clientX, clientY) {
  const box = tip();
  box.textContent = text;
  box.hidden = false;
  const { width, height } = box.getBoundingClientRect();
  box.style.left = `${Math.max(4, Math.min(clientX + 14, innerWidth - width - 6))}px`;
  box.style.top = `${clientY + 16 + height > innerHeight ? clientY - height - 10 : clientY + 16}px`;
}

export function hideTip() {
  tip().hidden = true;
}
