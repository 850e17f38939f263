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

/**
 * Replace all that an element holds; the keyboard's focus and what is scrolled stay where they were.
 * Children that are taken from what it holds now are given by a function.
 */
export function fill(element, ...children) {
  const [refocus, rescroll] = [focusIn(element), scrolledIn(element)];
  element.replaceChildren();
  append(element, children.map((child) => (typeof child === "function" ? child() : child)));
  rescroll();
  refocus();
  return element;
}

const REACHED = "a[href], button, input, select, textarea, summary, [tabindex]";

/** What a control is called before and after it is made anew. */
const nameOf = (control) => `${control.tagName} ${control.getAttribute("href") || control.id
  || control.getAttribute("aria-label") || control.textContent}`;

/**
 * Return what gives the focus back: to the same control, to its equal among the new ones, or, where it
 * is gone, to the part of the page that it was in, so that the tab key goes on from there.
 */
function focusIn(element) {
  const active = document.activeElement;
  if (active === element || !element.contains(active)) return () => {};
  const name = nameOf(active);
  const alike = () => [...element.querySelectorAll(REACHED)].filter((control) => nameOf(control) === name);
  const nth = alike().indexOf(active);
  return () => {
    const found = element.contains(active) ? active : alike()[nth] ?? element.closest("[tabindex]");
    found?.focus({ preventScroll: true });
  };
}

/** Return what scrolls the parts of an element that scroll by themselves to where they are now. */
function scrolledIn(element) {
  const parts = () => [...element.querySelectorAll("[role=region]")];
  const places = new Map(parts().map((part) => [nameOf(part), [part.scrollLeft, part.scrollTop]])
    .filter(([, place]) => place.some(Boolean)));
  return () => {
    if (places.size) for (const part of parts()) part.scrollTo(...(places.get(nameOf(part)) ?? [0, 0]));
  };
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
