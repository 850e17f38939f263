// The frame of the page: views by address, connection, theme, clock and operator.

import { get, setToken, token } from "./api.js";
import { catalogue } from "./catalogue.js";
import { fill, h, hideTip } from "./dom.js";
import * as format from "./format.js";
import { stations } from "./stations.js";
import { Stream } from "./stream.js";
import { setUpTheme } from "./theme.js";
import { downloadView } from "./views/download.js";
import { eventView } from "./views/event.js";
import { healthView } from "./views/health.js";
import { Overview } from "./views/overview.js";
import { stationView, stationsView } from "./views/station.js";

const LINKS = [["#/", "Map"], ["#/stations", "Stations"], ["#/health", "Health"], ["#/download", "Download"]];
const STATIONS_EVERY_MS = 10000;

const main = document.getElementById("main");
const banner = document.getElementById("banner");
let overview = null;
let current = null;
let summary = {};

function route() {
  const [path, query = ""] = (location.hash.slice(1) || "/").split("?");
  const params = new URLSearchParams(query);
  const [, name, id] = path.split("/").map((text) => safeDecode(text));
  return { name: name || "map", id, params };
}

function safeDecode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const VIEWS = {
  event: (id) => eventView(id, summary),
  station: (id) => stationView(id),
  stations: () => stationsView(),
  health: () => healthView(),
  download: () => downloadView(),
};

function show() {
  hideTip();
  const { name, id, params } = route();
  current?.close?.();
  current = null;
  mark(name);
  if (name === "map") {
    if (overview === null) overview = new Overview(params);
    else overview.setParams(params);
    fill(main, overview.element);
    overview.shown();
    document.title = summary.title ? `${summary.title} · Lithoscope` : "Lithoscope";
  } else if (VIEWS[name]) {
    current = VIEWS[name](id);
    fill(main, current.element);
    document.title = `${current.title} · Lithoscope`;
    scrollTo(0, 0);
  } else {
    fill(main, h("div", { class: "state" }, h("h1", {}, "No such view"), h("a", { href: "#/" }, "Back to the map")));
  }
}

function mark(name) {
  const at = { event: "#/", station: "#/stations", map: "#/" }[name] ?? `#/${name}`;
  fill(document.getElementById("nav"), LINKS.map(([href, text]) => h("a", { href, "aria-current": href === at ? "page" : null }, text)));
}

function setUpStream() {
  const stream = new Stream();
  const box = document.getElementById("connection");
  stream.addEventListener("state", ({ detail }) => {
    box.dataset.state = detail.state;
    box.textContent = detail.state === "live" ? (summary.live ? "Live" : "Connected") : detail.text;
    banner.textContent = detail.state === "lost" ? "The server does not answer. What you see is what was last received; the page tries again by itself." : "";
  });
  stream.addEventListener("change", ({ detail }) => {
    catalogue.change(detail.action, detail.event_id);
    current?.changed?.(detail);
  });
  stream.addEventListener("back", () => refresh());
  stream.open();
}

async function refresh() {
  try {
    summary = await get("api/summary") ?? {};
    document.getElementById("title").textContent = summary.title ?? "";
    document.getElementById("title").title = summary.title ?? "";
    document.getElementById("operator").hidden = summary.review === false;
    const box = document.getElementById("connection");
    if (box.dataset.state === "live") box.textContent = summary.live ? "Live" : "Connected";
  } catch (error) {
    banner.textContent = error.message;
  }
  await Promise.all([catalogue.load(), stations.load()]);
}

function setUpClock() {
  const clock = document.getElementById("clock");
  const tick = () => { clock.textContent = `${format.clock(Date.now())} UTC`; };
  tick();
  setInterval(tick, 1000);
  setInterval(() => {
    if (summary.live && document.visibilityState === "visible") stations.load();
  }, STATIONS_EVERY_MS);
}

function setUpOperator() {
  const button = document.getElementById("operator");
  const label = () => { button.textContent = token() ? "Operator ✓" : "Operator"; };
  button.addEventListener("click", () => askForToken());
  addEventListener("operator", label);
  label();
}

function askForToken() {
  const input = h("input", { type: "password", class: "wide", id: "token", autocomplete: "off", value: token() });
  const dialog = h("dialog", { "aria-labelledby": "token-title" }, h("form", { class: "form", method: "dialog" },
    h("h2", { id: "token-title" }, "Operator"),
    h("p", { class: "small soft" }, "With the token of the service you can accept, reject, retype and comment events and move picks. It is kept in this tab only."),
    h("label", { for: "token" }, "Token"), input,
    h("div", { class: "line" }, h("button", { class: "primary", value: "set" }, "Use token"),
      h("button", { value: "forget" }, "Forget"), h("button", { value: "", type: "submit" }, "Cancel"))));
  dialog.addEventListener("close", () => {
    if (dialog.returnValue === "set") setToken(input.value.trim());
    if (dialog.returnValue === "forget") setToken("");
    dialog.remove();
    document.getElementById("operator").focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  input.focus();
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
setUpTheme(document.getElementById("theme"));
setUpClock();
setUpOperator();
addEventListener("hashchange", show);
show();
setUpStream();
refresh();

/** For tests and the console: what the page holds. */
globalThis.lithoscope = { catalogue, stations, overview: () => overview };
