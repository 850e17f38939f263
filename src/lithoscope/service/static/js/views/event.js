// One event: where, when, how large, how sure, and what it rests on.

import { address, get, part, token } from "../api.js";
import { catalogue } from "../catalogue.js";
import { fill, h, panel, segments, table } from "../dom.js";
import * as format from "../format.js";
import { Posterior, StationMagnitudes } from "../posterior.js";
import { RecordSection } from "../recordsection.js";
import { Review } from "../review.js";

export function eventView(id, summary) {
  const view = new EventView(id, summary);
  view.load();
  return view;
}

class EventView {
  constructor(id, summary) {
    this.id = id;
    this.title = id;
    this.drawings = [];
    this.turn = 0;
    this.component = "z";
    this.review = new Review(id, summary.review !== false, () => this.load(), () => format.milliseconds(this.answer.event.time));
    // these parts outlive a change of the event, so that nothing blinks or loses the focus
    this.sectionBody = h("div", { class: "plot h560" }, h("p", { class: "empty" }, "Loading waveforms …"));
    this.sectionHead = h("span");
    this.sectionOrder = h("span");
    this.cloudBody = h("div", { class: "plot h280 cloud" }, h("p", { class: "empty" }, "Loading the posterior …"));
    this.cloudHead = h("span");
    this.cloudSide = h("span", { class: "segs" });
    this.element = h("article", { class: "view" }, h("p", { class: "state" }, "Loading event …"));
    this.onOperator = () => this.load();
    addEventListener("operator", this.onOperator);
  }

  async load() {
    const path = `api/events/${part(this.id)}`;
    try {
      this.answer = await get(path);
    } catch (error) {
      const text = error.status === 404 ? `There is no event ${this.id} in this catalogue.` : error.message;
      fill(this.element, h("div", { class: "state" }, h("h1", {}, "Event not shown"), h("p", {}, text), h("a", { href: "#/" }, "Back to the map")));
      return;
    }
    this.stop();
    this.build();
    const settle = (promise) => promise.then((value) => ({ value }), (error) => ({ error: error.message }));
    const turn = this.turn;
    const show = (promise, act) => settle(promise).then((result) => { if (turn === this.turn) act(result); });
    show(get(`${path}/samples`, { n: 2000 }), (result) => this.showSamples(result));
    this.loadSection();
  }

  /** Ask for the record section; what comes after another choice or another event is dropped. */
  async loadSection() {
    const { turn, component } = this;
    let result;
    try {
      result = { value: await get(`api/events/${part(this.id)}/section`, { component }) };
    } catch (error) {
      result = { error: error.message };
    }
    if (turn === this.turn && component === this.component) this.showSection(result);
  }

  build() {
    this.turn += 1;
    const { event, arrivals, station_magnitudes: magnitudes, versions } = this.answer;
    const component = segments("Component", [["z", "Vertical"], ["h", "Transverse"]], this.component, (value) => {
      this.component = value;
      this.loadSection();
    });
    fill(this.element, this.head(event), () =>
      h("div", { class: "grid" },
        h("div", { class: "c8 stack" },
          panel("Record section", "", this.sectionBody, [this.sectionHead, h("span", { class: "segs" }, component, this.sectionOrder)]),
          panel("Arrivals", "", region("Table of arrivals", "scrolly", this.arrivals(arrivals ?? []))),
          panel("Versions", "", region("Table of versions", "scrollx", versionTable(versions ?? [event]))),
          panel("Review", "", h("div", { class: "body" }, this.review.element, audit(this.answer.audit)))),
        h("div", { class: "c4 stack" },
          panel("Uncertainty", "", h("div", { class: "body" }, h("ul", { class: "clean" }, format.uncertaintyInWords(event).map((text) => h("li", {}, text))))),
          panel("Posterior of the hypocentre", "", this.cloudBody, [this.cloudHead, this.cloudSide]),
          panel("Magnitude of each station", "", this.magnitudes(event, magnitudes ?? [])),
          panel("Solution", "", h("div", { class: "body" }, facts(event))))));
  }

  head(event) {
    this.title = `${format.magnitude(event.magnitude, event.magnitude_type)} ${format.time(event.time)}`;
    document.title = `${this.title} · Lithoscope`;
    const type = event.event_type && event.event_type !== "not classified" ? event.event_type : "event, type not classified";
    const file = (kind, text) => h("a", { class: "button", href: address("fdsnws/event/1/query", { eventid: this.id, format: kind, ...(kind === "xml" ? { includearrivals: "true" } : {}) }), download: `${this.id}.${kind === "xml" ? "xml" : kind}` }, text);
    return h("header", { class: "head" },
      h("p", { class: "crumb" }, h("a", { href: "#/" }, "Map"), " / ", h("span", { class: "mono" }, this.id)),
      h("div", { class: "magnitude" }, Number.isFinite(event.magnitude) ? [h("small", {}, `${event.magnitude_type || "M"} `), format.number(event.magnitude, 1)] : h("small", {}, "no magnitude")),
      h("div", {}, h("h1", {}, `${format.time(event.time, 2)} UTC`),
        h("p", {}, `${format.latitude(event.latitude, 4)}, ${format.longitude(event.longitude, 4)}, ${format.number(event.depth_km)} km below sea level · ${type}`),
        h("p", {}, badges(event))),
      h("div", { class: "actions" }, h("a", { class: "button", href: `#/?event=${part(this.id)}`, on: { click: () => catalogue.select(this.id) } }, "Show on map"),
        file("xml", "QuakeML"), file("geojson", "GeoJSON")));
  }

  magnitudes(event, rows) {
    if (rows.length === 0) return h("p", { class: "empty" }, event.magnitude_reason || "No station magnitudes.");
    const plot = new StationMagnitudes(event, rows);
    this.drawings.push(plot.drawing);
    plot.element.classList.add("h220");
    const sorted = [...rows].sort((a, b) => Number(b.used) - Number(a.used) || a.distance_km - b.distance_km);
    const cells = sorted.map((row) => [
      h("a", { href: `#/station/${part(row.station)}` }, row.station), { value: format.number(row.magnitude, 2), class: "num" },
      { value: format.number(row.distance_km), class: "num" }, { value: row.used ? "used" : `refused: ${row.reason || "no reason given"}`, class: "wrap" },
    ]);
    return [plot.element, region("Table of station magnitudes", "scrolly short", table("Station magnitudes", ["Station", { value: rows[0].magnitude_type || "Magnitude", class: "num" }, { value: "Distance, km", class: "num" }, "Use"], cells))];
  }

  arrivals(rows) {
    if (rows.length === 0) return h("p", { class: "empty" }, "No arrivals.");
    const operator = Boolean(token());
    const heads = ["Station", "Phase", "Time (UTC)", { value: "± s", class: "num" }, { value: "Residual, s", class: "num" }, { value: "Weight", class: "num" }, { value: "Dist., km", class: "num" }, { value: "Azim.", class: "num" }];
    if (operator) heads.push("Pick");
    const sorted = [...rows].sort((a, b) => a.distance_km - b.distance_km || a.phase.localeCompare(b.phase));
    return table("Arrivals", heads, sorted.map((row) => {
      const cells = [
        h("a", { href: `#/station/${part(row.station)}` }, row.station), row.phase, format.clock(row.time, 2),
        { value: format.number(row.time_sigma_s, 2), class: "num" }, { value: format.signed(row.residual_s), class: "num" },
        { value: format.number(row.weight, 2), class: "num" }, { value: format.number(row.distance_km), class: "num" }, { value: `${format.number(row.azimuth_deg, 0)}°`, class: "num" },
      ];
      const act = (text, run) => h("button", { type: "button", "aria-label": `${text} ${row.phase} at ${row.station}`, on: { click: run } }, text);
      if (operator) cells.push(h("span", { class: "line" }, act("Move", () => this.review.propose(row, format.milliseconds(row.time))), act("Remove", () => this.review.proposeRemoval(row))));
      return cells;
    }));
  }

  showSection({ value, error }) {
    const reason = error ?? value?.reason;
    if (!value || (value.traces ?? []).length === 0) {
      fill(this.sectionBody, h("p", { class: "empty" }, reason || "No waveforms are at hand for this event."));
      return;
    }
    const move = token() ? {
      move: (pick, time) => this.review.propose(pick, time),
      add: (station, phase, time) => this.review.proposeNew(station, phase, time),
    } : null;
    this.section?.drawing.stop();
    const section = new RecordSection(value, move, this.section?.even);
    this.section = section;
    this.drawings.push(section.drawing);
    fill(this.sectionBody, section.element.firstChild);
    section.drawing.resize();
    section.drawing.watcher.observe(this.sectionBody);
    const band = value.band_hz ? `${format.number(value.band_hz[0], 0)}–${format.number(value.band_hz[1], 0)} Hz, each to its own peak` : "each to its own peak";
    fill(this.sectionHead, h("span", { class: "small soft" }, `${band}; dashed: predicted `, h("span", { class: "p" }, "P"), " and ", h("span", { class: "s" }, "S")));
    fill(this.sectionOrder, section.choice);
  }

  showSamples({ value, error }) {
    if (!value || (value.longitude ?? []).length === 0) {
      fill(this.cloudBody, h("p", { class: "empty" }, error ?? value?.reason ?? "No samples of the posterior."));
      return;
    }
    const cloud = new Posterior(this.answer.event, value, this.cloud?.side);
    this.cloud = cloud;
    this.drawings.push(cloud.drawing);
    fill(this.cloudBody, cloud.element.firstChild);
    cloud.drawing.resize();
    cloud.drawing.watcher.observe(this.cloudBody);
    fill(this.cloudHead, h("span", { class: "small soft" }, "— 68 %  - - 95 %"));
    fill(this.cloudSide, cloud.choice);
  }

  /** A change announced by the service. */
  changed(change) {
    if (change.event_id === this.id) this.load();
  }

  stop() {
    for (const drawing of this.drawings) drawing.stop();
    this.drawings = [];
  }

  close() {
    this.turn = -1;
    this.stop();
    this.review.close();
    removeEventListener("operator", this.onOperator);
  }
}

/** A part that scrolls by itself must be reachable with the keyboard. */
function region(label, kind, content) {
  return h("div", { class: kind, tabindex: "0", role: "region", "aria-label": label }, content);
}

function badges(event) {
  const mode = event.evaluation_mode || "automatic";
  const status = event.evaluation_status || "preliminary";
  const kind = { reviewed: "ok", final: "ok", confirmed: "ok", rejected: "silent" }[status] ?? "plain";
  const found = [h("span", { class: `badge ${kind}` }, `${mode}, ${status}`)];
  if (event.version) found.push(" ", h("span", { class: "badge plain" }, `version ${event.version}`));
  if (event.ambiguous) found.push(" ", h("span", { class: "badge late" }, "ambiguous location"));
  return found;
}

function facts(event) {
  const rows = [
    ["Picks used", `${event.n_p} P, ${event.n_s} S`], ["Azimuthal gap", format.withUnit(event.azimuthal_gap_deg, 0, "°")],
    ["Nearest station", format.withUnit(event.nearest_station_km, 1, "km")], ["Residuals", `${format.number(event.rms_s, 2)} s (weighted rms)`],
    ["East, north", `± ${format.number(event.east_sigma_km, 2)} km, ± ${format.number(event.north_sigma_km, 2)} km (1 sigma)`],
    ["95 % ellipse", `${format.number(2 * event.ellipse_95_major_km)} × ${format.number(2 * event.ellipse_95_minor_km)} km`],
    ["95 % depth", `${format.number(event.depth_95_low_km)} to ${format.number(event.depth_95_high_km)} km`],
    ["Made", event.made_at ? `${format.time(event.made_at)} UTC` : "–"], ["By", event.author || "–"],
  ];
  if (event.event_type_reason) rows.push(["Type", event.event_type_reason]);
  return h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function versionTable(versions) {
  const heads = [{ value: "No.", class: "num" }, "Made (UTC)", "Action", "State", "Origin time (UTC)", { value: "Lat.", class: "num" }, { value: "Lon.", class: "num" }, { value: "Depth, km", class: "num" }, { value: "Mag.", class: "num" }, "By"];
  const sorted = [...versions].sort((a, b) => (b.version ?? 0) - (a.version ?? 0));
  return table("Versions", heads, sorted.map((v) => [
    { value: String(v.version ?? "–"), class: "num" }, format.time(v.made_at), v.action ?? "–",
    [v.evaluation_mode, v.evaluation_status].filter(Boolean).join(", ") || "–", format.clock(v.time, 2),
    { value: format.number(v.latitude, 4), class: "num" }, { value: format.number(v.longitude, 4), class: "num" },
    { value: format.number(v.depth_km), class: "num" }, { value: format.number(v.magnitude, 2), class: "num" }, v.author || "–",
  ]));
}

function audit(rows) {
  if (!rows || rows.length === 0) return null;
  const text = (row) => [row.user, row.action, row.comment ?? (typeof row.detail === "string" ? row.detail : "")].filter(Boolean).join(" · ");
  return [h("h3", {}, "What was done"), h("ol", { class: "audit small" }, rows.map((row) => h("li", {}, `${format.time(row.made_at)} UTC · ${text(row)}`)))];
}
