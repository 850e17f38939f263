// Links that give what the filter shows in the formats of others.

import { address } from "../api.js";
import { catalogue } from "../catalogue.js";
import { fill, h, panel } from "../dom.js";
import { serviceQuery } from "../filter.js";
import * as format from "../format.js";

// The service refuses more events than this in one answer with arrivals.
const WITH_ARRIVALS = 2000;
const FILES = [
  ["GeoJSON", "geojson", "events.geojson", "points with properties, for maps and GIS", {}],
  ["FDSN text", "text", "events.txt", "one line an event, separated by |", {}],
];
const CSV = ["event_id", "time", "longitude", "latitude", "depth_km", "magnitude", "magnitude_type", "event_type", "evaluation_mode", "evaluation_status", "version"];

export function downloadView() {
  const element = h("article", { class: "view" });
  const update = () => fill(element, content());
  catalogue.addEventListener("filter", update);
  update();
  return { element, title: "Download", close: () => catalogue.removeEventListener("filter", update) };
}

function content() {
  const { filter } = catalogue;
  const link = ([name, kind, file, note, more]) => h("li", {}, h("a", { class: "button", href: address("fdsnws/event/1/query", { format: kind, ...serviceQuery(filter), ...more }), download: file }, name), " ", h("span", { class: "soft" }, note));
  const arrivals = catalogue.nShown <= WITH_ARRIVALS;
  const quakeml = [
    "QuakeML", "xml", "quakeml.xml", `origins, magnitudes and uncertainties, ${arrivals ? "with" : `for more than ${format.count(WITH_ARRIVALS)} events without`} picks and arrivals`,
    arrivals ? { includearrivals: "true", includeallorigins: "true" } : {},
  ];
  const inPage = filter.q || filter.status;
  return [
    h("header", { class: "head" }, h("h1", {}, "Download"), h("p", { class: "soft" }, `${format.count(catalogue.nShown)} of ${format.count(catalogue.n)} events pass the filter of the map.`)),
    h("div", { class: "grid" },
      panel("Events", "c6", h("div", { class: "body" }, h("ul", { class: "clean links" }, [quakeml, ...FILES].map(link),
        h("li", {}, h("button", { type: "button", on: { click: saveCsv } }, "CSV"), " ", h("span", { class: "soft" }, "the list of the page, written by your browser; times UTC, depth km below sea level"))),
      inPage ? h("p", { class: "small soft" }, "Search words and status are parts of the page only: the links above leave them out, the CSV obeys them.") : null)),
      panel("Stations and waveforms", "c6", h("div", { class: "body" }, h("ul", { class: "clean links" },
        h("li", {}, h("a", { class: "button", href: address("fdsnws/station/1/query", { level: "response", format: "xml" }), download: "stations.xml" }, "StationXML"), " ", h("span", { class: "soft" }, "with responses where they are known")),
        h("li", {}, h("a", { class: "button", href: address("fdsnws/station/1/query", { level: "station", format: "text" }), download: "stations.txt" }, "Station text"))),
      h("p", { class: "small soft" }, "Waveforms: the FDSN dataselect service of this address gives miniSEED for any network, station, channel and time."))),
      panel("For programs", "c12", h("div", { class: "body" }, h("p", {}, "Any FDSN client reads this service, for example ObsPy:"),
        h("pre", { class: "mono scrollx", tabindex: "0" }, `from obspy.clients.fdsn import Client\nevents = Client("${location.origin}").get_events()`),
        h("p", {}, "The JSON interface is described at ", h("a", { href: address("api/openapi.json") }, "api/openapi.json"), ".")))),
  ];
}

function saveCsv() {
  const lines = [CSV.join(",")];
  for (let i = 0; i < catalogue.n; i += 1) {
    if (!catalogue.shown[i]) continue;
    lines.push(CSV.map((name) => cell(name === "time" ? (Number.isFinite(catalogue.time[i]) ? format.iso(catalogue.time[i]) : "") : catalogue[name][i])).join(","));
  }
  const url = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }));
  h("a", { href: url, download: "events.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** A value that a spreadsheet reads as text stays text: no formula begins a cell. */
function cell(value) {
  if (value === null || value === undefined || (typeof value === "number" && !Number.isFinite(value))) return "";
  const text = typeof value === "string" && /^[=+\-@\t]/.test(value) ? `'${value}` : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
