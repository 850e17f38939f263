// Stations as a table that sorts by any of its columns.

import { part } from "./api.js";
import { fill, h } from "./dom.js";
import * as format from "./format.js";
import { badge, noise } from "./views/station.js";

const RANK = { silent: 0, late: 1, unknown: 2, ok: 3 };
const COLUMNS = [
  ["Station", (s) => s.station, (s) => h("a", { href: `#/station/${part(s.station)}` }, s.station)],
  ["State", (s) => RANK[s.state] ?? 2, (s) => badge(s.state)],
  ["Latency", (s) => s.latency_s ?? Infinity, (s) => [format.span(s.latency_s), meter(s.latency_s)], "num"],
  ["Gaps", (s) => s.n_gaps ?? -1, (s) => format.count(s.n_gaps), "num"],
  ["Noise level", (s) => s.noise_level ?? Infinity, noise, "num"],
  ["Last data (UTC)", (s) => s.last_data ?? "", (s) => format.time(s.last_data)],
  ["Latitude", (s) => s.latitude, (s) => format.latitude(s.latitude, 4), "num"],
  ["Longitude", (s) => s.longitude, (s) => format.longitude(s.longitude, 4), "num"],
  ["Elevation, m", (s) => s.elevation_m ?? -Infinity, (s) => format.number(s.elevation_m, 0), "num"],
];
let sort = { column: 0, down: false };

/** Latency on a scale of 0 to 30 s. */
function meter(seconds) {
  if (!Number.isFinite(seconds)) return null;
  const bar = h("span");
  bar.style.width = `${Math.max(2, Math.min(100, (seconds / 30) * 100))}%`;
  return [" ", h("span", { class: "meter", "aria-hidden": "true" }, bar)];
}

export function stationTable(list) {
  const body = h("tbody");
  const heads = COLUMNS.map(([title, , , kind], k) => h("th", { scope: "col", class: kind }, h("button", {
    type: "button", on: { click: () => { sort = { column: k, down: sort.column === k && !sort.down }; show(); } },
  }, title)));
  function show() {
    const [, key] = COLUMNS[sort.column];
    const sign = sort.down ? -1 : 1;
    const order = [...list].sort((a, b) => (key(a) < key(b) ? -sign : Number(key(a) > key(b)) * sign));
    heads.forEach((head, k) => {
      if (k === sort.column) head.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    fill(body, order.map((s) => h("tr", {}, COLUMNS.map(([, , cell, kind]) => h("td", { class: kind }, cell(s))))));
  }
  show();
  return h("div", { class: "scrollx", tabindex: "0", role: "region", "aria-label": "Table of stations" },
    h("table", {}, h("caption", { class: "vh" }, "Stations"), h("thead", {}, h("tr", {}, heads)), body));
}
