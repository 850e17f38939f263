// How the network and the engine are.

import { get } from "../api.js";
import { fill, h, panel, table } from "../dom.js";
import * as format from "../format.js";
import { STATE_WORDS } from "../stations.js";
import { stationTable } from "../stationtable.js";

const EVERY_MS = 10000;

export function healthView() {
  const element = h("article", { class: "view" }, h("p", { class: "state" }, "Loading …"));
  const load = async () => {
    try {
      fill(element, content(await get("api/health")));
    } catch (error) {
      fill(element, h("div", { class: "state" }, h("h1", {}, "Health"), h("p", {}, error.message)));
    }
  };
  load();
  const timer = setInterval(() => {
    if (document.visibilityState === "visible") load();
  }, EVERY_MS);
  return { element, title: "Health", close: () => clearInterval(timer) };
}

function content(health) {
  const stations = health.stations ?? [];
  return [
    h("header", { class: "head" }, h("h1", {}, "Network health"), h("p", { class: "soft" }, `at ${format.time(health.now)} UTC${health.live ? "" : " · a finished catalogue: no data arrive"}`)),
    h("ul", { class: "clean cards" }, cards(health, stations).map(([name, value, note]) => h("li", {}, h("span", { class: "soft small" }, name), h("b", {}, value), note ? h("span", { class: "soft small" }, note) : null))),
    h("div", { class: "grid" },
      panel("Latency of each stage", "c12", stages(health.stages ?? [])),
      panel("Stations", "c12", stations.length ? stationTable(stations) : h("p", { class: "empty" }, "No stations.")),
      panel("Problems", "c12", problems(health.problems ?? []))),
  ];
}

function cards(health, stations) {
  const n = (state) => stations.filter((station) => station.state === state).length;
  const latencies = stations.map((station) => station.latency_s).filter(Number.isFinite).sort((a, b) => a - b);
  const found = [["Stations", format.count(stations.length), Object.entries(STATE_WORDS).filter(([state]) => n(state)).map(([state, text]) => `${n(state)} ${text}`).join(", ")]];
  if (latencies.length) found.push(["Median latency", format.span(latencies[Math.floor(latencies.length / 2)]), "data time to arrival, over stations"]);
  found.push(["Gaps", format.count(stations.reduce((sum, station) => sum + (station.n_gaps || 0), 0)), "all stations"]);
  if (Number.isFinite(health.uptime_s)) found.push(["Service up", format.span(health.uptime_s)]);
  found.push(["Problems noted", format.count((health.problems ?? []).length)]);
  return found;
}

function stages(rows) {
  if (rows.length === 0) return h("p", { class: "empty" }, "No engine reports to this service.");
  const most = Math.max(...rows.map((row) => row.p95_latency_s || 0)) || 1;
  const bar = (value) => {
    const inner = h("span");
    inner.style.width = `${Math.max(1, (100 * (value || 0)) / most)}%`;
    return h("span", { class: "meter", "aria-hidden": "true" }, inner);
  };
  return h("div", { class: "scrollx", tabindex: "0", role: "region", "aria-label": "Table of stages" }, table("Stages", ["Stage", { value: "Median", class: "num" }, { value: "95 %", class: "num" }, "95 % beside the slowest", { value: "Measured", class: "num" }],
    rows.map((row) => [row.stage, { value: format.span(row.median_latency_s), class: "num" }, { value: format.span(row.p95_latency_s), class: "num" }, bar(row.p95_latency_s), { value: format.count(row.n), class: "num" }])));
}

function problems(rows) {
  if (rows.length === 0) return h("p", { class: "empty" }, "None.");
  const shown = rows.slice(0, 500);
  return [h("div", { class: "scrolly", tabindex: "0", role: "region", "aria-label": "Table of problems" }, table("Problems", ["What", "Problem", "Detail", "Action", "From (UTC)"],
    shown.map((row) => [row.what, row.problem, row.detail, row.action, format.time(row.starttime)]))),
  rows.length > shown.length ? h("p", { class: "empty" }, `and ${format.count(rows.length - shown.length)} more`) : null];
}
