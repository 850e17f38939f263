// The list of events: any length, since only the rows in sight exist.

import { catalogue } from "./catalogue.js";
import { fill, h } from "./dom.js";
import * as format from "./format.js";

const ROW = 28;
const COLUMNS = [
  ["time", "Time (UTC)", "when"], ["magnitude", "Mag.", "mag num"], ["depth_km", "Depth, km", "depth num"],
  ["event_type", "Type", "type"],
];
const TYPES = { "not classified": "–", "": "–" };

export class EventList {
  /** `options.onOpen(id)`. */
  constructor(options) {
    this.options = options;
    this.sort = { key: "time", down: true };
    this.rows = new Uint32Array(0);
    this.order = new Uint32Array(0);
    this.body = h("tbody");
    this.heads = COLUMNS.map(([key, title, kind]) => {
      const button = h("button", { type: "button", on: { click: () => this.sortBy(key) } }, title);
      return h("th", { scope: "col", class: kind.includes("num") ? "num" : null, data: { key } }, button);
    });
    this.table = h("table", { "aria-label": "Events" },
      h("colgroup", {}, COLUMNS.map(([, , kind]) => h("col", { class: kind.split(" ")[0] }))),
      h("thead", {}, h("tr", {}, this.heads)), this.body);
    this.scroller = h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "List of events" }, this.table);
    this.scroller.addEventListener("scroll", () => this.render());
    this.scroller.addEventListener("keydown", (event) => this.key(event));
    this.watcher = new ResizeObserver(() => this.render(true));
    this.watcher.observe(this.scroller);
    this.element = this.scroller;
    this.markSort();
  }

  sortBy(key) {
    this.sort = { key, down: this.sort.key === key ? !this.sort.down : key !== "event_type" };
    this.markSort();
    this.update();
  }

  markSort() {
    for (const head of this.heads) {
      if (head.dataset.key === this.sort.key) head.setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  /** Call with true when events changed; otherwise only the filter or the order did. */
  update(data = false) {
    const { key, down } = this.sort;
    if (data || this.ordered !== `${key}/${down}` || this.order.length !== catalogue.n) {
      this.order = ordered(key, down);
      this.ordered = `${key}/${down}`;
    }
    this.rows = this.order.filter((i) => catalogue.shown[i]);
    this.render(true);
  }

  render(force = false) {
    const height = this.scroller.clientHeight;
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / ROW) - 6);
    const last = Math.min(this.rows.length, first + Math.ceil(height / ROW) + 12);
    if (!force && this.first === first && this.last === last) return;
    this.first = first;
    this.last = last;
    this.table.setAttribute("aria-rowcount", String(this.rows.length + 1));
    const parts = [];
    if (first > 0) parts.push(gap(first * ROW));
    for (let k = first; k < last; k += 1) parts.push(this.row(k));
    if (last < this.rows.length) parts.push(gap((this.rows.length - last) * ROW));
    if (this.rows.length === 0) parts.push(h("tr", {}, h("td", { colspan: "4", class: "empty" }, this.emptyText())));
    fill(this.body, parts);
  }

  emptyText() {
    if (catalogue.state === "loading") return "Loading events …";
    if (catalogue.state === "failed") return catalogue.message;
    return catalogue.n === 0 ? "The catalogue holds no events yet." : "No event passes the filter.";
  }

  row(k) {
    const i = this.rows[k];
    const id = catalogue.event_id[i];
    const digits = Number.isFinite(catalogue.magnitude[i]) ? `${catalogue.magnitude_type[i]} ${format.number(catalogue.magnitude[i])}`.trim() : "–";
    const chosen = id === catalogue.selected;
    const link = h("a", { href: `#/event/${encodeURIComponent(id)}` }, format.time(catalogue.time[i], 1));
    const row = h("tr", {
      class: `row${catalogue.fresh.has(id) ? " fresh" : ""}`, "aria-rowindex": String(k + 2), "aria-selected": chosen ? "true" : null,
      on: { click: (event) => { if (event.target !== link) catalogue.select(id); }, dblclick: () => this.options.onOpen(id) },
    },
    h("td", {}, link), h("td", { class: "num" }, digits), h("td", { class: "num" }, format.number(catalogue.depth_km[i])),
    h("td", {}, TYPES[catalogue.event_type[i]] ?? catalogue.event_type[i], status(catalogue.evaluation_status[i], catalogue.evaluation_mode[i])));
    return row;
  }

  /** The next event in the order of the list. */
  step(by) {
    if (this.rows.length === 0) return;
    const at = this.rows.findIndex((i) => catalogue.event_id[i] === catalogue.selected);
    const next = at < 0 ? 0 : Math.max(0, Math.min(this.rows.length - 1, at + by));
    catalogue.select(catalogue.event_id[this.rows[next]]);
  }

  reveal() {
    const at = this.rows.findIndex((i) => catalogue.event_id[i] === catalogue.selected);
    this.render(true);
    if (at < 0) return;
    const top = at * ROW;
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop || top > scrollTop + clientHeight - 2 * ROW - 30) this.scroller.scrollTop = Math.max(0, top - clientHeight / 3);
  }

  key(event) {
    if (event.target !== this.scroller) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") this.step(event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "Enter" && catalogue.selected) this.options.onOpen(catalogue.selected);
    else return;
    event.preventDefault();
  }
}

/** All rows in an order; events without a value come last whichever way is sorted. */
function ordered(key, down) {
  const order = Uint32Array.from({ length: catalogue.n }, (_, i) => i);
  const sign = down ? -1 : 1;
  const values = catalogue[key];
  if (key === "event_type") return order.sort((a, b) => sign * values[a].localeCompare(values[b]) || catalogue.time[b] - catalogue.time[a]);
  const rank = Float64Array.from(order, (i) => (Number.isFinite(values[i]) ? sign * values[i] : Infinity));
  return order.sort((a, b) => (rank[a] === rank[b] ? catalogue.time[b] - catalogue.time[a] : rank[a] - rank[b]));
}

function gap(height) {
  const row = h("tr", { class: "gap", "aria-hidden": "true" }, h("td", { colspan: "4" }));
  row.style.height = `${height}px`;
  return row;
}

function status(value, mode) {
  const done = value === "reviewed" || value === "final" || value === "confirmed";
  if (!done && mode !== "manual") return null;
  return [" ", h("span", { class: "tick", title: `${mode}, ${value}` }, done ? "✓" : "✎", h("span", { class: "vh" }, ` ${mode}, ${value}`))];
}
