// One station, and the list of all.

import { get, part } from "../api.js";
import { fill, h, panel, segments, table } from "../dom.js";
import * as format from "../format.js";
import { STATE_WORDS, stations } from "../stations.js";
import { Availability, LastHours, Residuals, Spectrogram, residualWords } from "../traces.js";
import { stationTable } from "../stationtable.js";

const HOURS = [[1, "1 h"], [6, "6 h"], [24, "24 h"]];

export function stationView(code) {
  const view = new StationView(code);
  view.load();
  return view;
}

class StationView {
  constructor(code) {
    this.code = code;
    this.title = code;
    this.path = `api/stations/${part(code)}`;
    this.hours = 1;
    this.drawings = new Map();
    this.element = h("article", { class: "view" }, h("p", { class: "state" }, "Loading station …"));
  }

  async load() {
    try {
      this.answer = await get(this.path);
    } catch (error) {
      const text = error.status === 404 ? `There is no station ${this.code} here.` : error.message;
      fill(this.element, h("div", { class: "state" }, h("h1", {}, "Station not shown"), h("p", {}, text), h("a", { href: "#/stations" }, "All stations")));
      return;
    }
    this.build();
    this.loadHours();
    this.one("residuals", `${this.path}/residuals`, (value) => (value.residuals?.length ? new Residuals(value.residuals) : null), "No picks of this station are in an event.");
    this.one("availability", `${this.path}/availability`, (value) => (value.spans?.length ? new Availability(value) : null), "No data of this station.");
  }

  build() {
    const { station } = this.answer;
    const body = (kind, height) => h("div", { class: `plot ${height}`, id: `plot-${kind}` }, h("p", { class: "empty" }, "Loading …"));
    this.bodies = { waveform: body("waveform", "h280"), spectrogram: body("spectrogram", "h220"), residuals: body("residuals", "h220"), availability: body("availability", "h70") };
    const choice = segments("Hours shown", HOURS, this.hours, (hours) => {
      this.hours = hours;
      this.loadHours();
    });
    this.availabilityWords = h("span", { class: "small soft" });
    this.spectrumWords = h("span", { class: "small soft" });
    this.residualHead = h("span", { class: "small soft" });
    fill(this.element, this.head(station),
      h("div", { class: "grid" },
        h("div", { class: "c8 stack" },
          panel("Last hours", "", this.bodies.waveform, choice), panel("Spectrogram", "", this.bodies.spectrogram, this.spectrumWords)),
        h("div", { class: "c4 stack" },
          panel("About", "", h("div", { class: "body" }, this.facts(station))),
          panel("Channels", "", h("div", { class: "scrollx", tabindex: "0", role: "region", "aria-label": "Table of channels" }, channelTable(this.answer.channels ?? [])))),
        panel("Availability", "c12", this.bodies.availability, this.availabilityWords),
        panel("Residuals of picks", "c12", this.bodies.residuals, this.residualHead)));
  }

  head(station) {
    return h("header", { class: "head" }, h("p", { class: "crumb" }, h("a", { href: "#/stations" }, "Stations"), " / ", h("span", { class: "mono" }, this.code)),
      h("h1", {}, this.code), h("p", {}, badge(station.state)),
      h("p", { class: "soft" }, `${format.latitude(station.latitude, 4)}, ${format.longitude(station.longitude, 4)}, ${format.withUnit(station.elevation_m, 0, "m")} above sea level`));
  }

  facts(station) {
    const rows = [
      ["Last data", station.last_data ? `${format.time(station.last_data)} UTC` : "–"], ["Latency", format.span(station.latency_s)],
      ["Gaps", format.count(station.n_gaps)], ["Noise level", noise(station)], ["Picks", format.count(this.answer.n_picks)],
      ["P, S arrivals", [this.answer.n_p, this.answer.n_s].every(Number.isFinite) ? `${this.answer.n_p}, ${this.answer.n_s}` : "–"],
    ].filter(([, value]) => value !== "–");
    return h("dl", { class: "facts" }, rows.length ? rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]) : h("dd", {}, "No measurements."));
  }

  loadHours() {
    const query = { hours: this.hours };
    this.one("waveform", `${this.path}/waveform`, (value) => (value.channels?.length ? new LastHours(value) : null), "No waveforms are at hand for this station.", query);
    this.one("spectrogram", `${this.path}/spectrogram`, (value) => (value.level_db?.length ? new Spectrogram(value) : null), "No waveforms are at hand for this station.", query);
  }

  async one(kind, path, make, none, query = {}) {
    const body = this.bodies[kind];
    let value = null;
    let message = none;
    try {
      value = await get(path, query);
      message = value?.reason || none;
    } catch (error) {
      message = error.message;
    }
    if (body !== this.bodies[kind] || (kind in { waveform: 1, spectrogram: 1 } && query.hours !== this.hours)) return;
    this.drawings.get(kind)?.stop();
    const plot = value && make(value);
    if (!plot) {
      fill(body, h("p", { class: "empty" }, message));
      return;
    }
    this.drawings.set(kind, plot.drawing);
    fill(body, plot.canvas);
    plot.drawing.resize();
    plot.drawing.watcher.observe(body);
    if (kind === "availability") this.availabilityWords.textContent = `${format.number(value.available_percent, 2)} % of the time, ${format.count(value.n_gaps)} gaps, UTC`;
    if (kind === "residuals") fill(this.residualHead, h("span", { class: "p" }, `● ${residualWords(value.residuals, "P")}`), "  ", h("span", { class: "s" }, `■ ${residualWords(value.residuals, "S")}`), "  mean ± standard deviation (picks); hollow: weight below 0.5");
    if (kind === "spectrogram") this.spectrumWords.textContent = `${value.channel}, ${plot.words ?? ""}`;
  }

  close() {
    for (const drawing of this.drawings.values()) drawing.stop();
  }
}

export function badge(state) {
  const known = state in STATE_WORDS ? state : "unknown";
  return h("span", { class: `badge ${known}` }, STATE_WORDS[known]);
}

export function noise(station) {
  if (!Number.isFinite(station.noise_level)) return "–";
  const level = station.noise_level;
  const text = Math.abs(level) >= 0.01 && Math.abs(level) < 1e5 ? Number(level.toPrecision(3)) : level.toExponential(1);
  return `${String(text).replace("-", "−")} ${station.noise_unit ?? ""}`.trim();
}

function channelTable(channels) {
  if (channels.length === 0) return h("p", { class: "empty" }, "No channel is described.");
  const units = new Set(channels.filter((c) => Number.isFinite(c.gain)).map((c) => `counts/(${c.unit || "unit unknown"})`));
  const same = units.size === 1 ? [...units][0] : "";
  const heads = ["Channel", { value: "Rate, Hz", class: "num" }, { value: "Azim.", class: "num" }, { value: "Dip", class: "num" }, { value: `Gain${same && `, ${same}`}`, class: "num" }];
  const gain = (c) => (Number.isFinite(c.gain) ? `${c.gain.toPrecision(4)}${same ? "" : ` counts/(${c.unit || "unit unknown"})`}` : "unknown");
  return table("Channels", heads, channels.map((c) => [
    c.channel.split(".").slice(2).join(".").replace(/^\./, ""), { value: format.number(c.sampling_rate_hz, 0), class: "num" },
    { value: Number.isFinite(c.azimuth_deg) ? `${format.number(c.azimuth_deg, 0)}°` : "–", class: "num" },
    { value: Number.isFinite(c.dip_deg) ? `${format.number(c.dip_deg, 0)}°` : "–", class: "num" }, { value: gain(c), class: "num" },
  ]));
}

export function stationsView() {
  const body = h("div");
  const element = h("article", { class: "view" }, h("header", { class: "head" }, h("h1", {}, "Stations"), h("p", { class: "soft" }, "State, latency, gaps and noise of each station; open one for its data.")),
    h("section", { class: "panel", "aria-label": "Stations" }, body));
  const update = () => {
    const text = { loading: "Loading stations …", failed: stations.message }[stations.state] ?? "This catalogue has no stations.";
    fill(body, stations.list.length ? stationTable(stations.list) : h("p", { class: "empty" }, text));
  };
  stations.addEventListener("data", update);
  update();
  return { element, title: "Stations", close: () => stations.removeEventListener("data", update) };
}
