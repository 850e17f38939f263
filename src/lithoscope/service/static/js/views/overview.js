// Map, section, time line and list of one catalogue.

import { get, part } from "../api.js";
import { catalogue } from "../catalogue.js";
import { fill, h, panel } from "../dom.js";
import { readFilter, writeFilter } from "../filter.js";
import { FilterBar } from "../filterbar.js";
import * as format from "../format.js";
import { Legend } from "../legend.js";
import { EventList } from "../list.js";
import { EventMap } from "../map.js";
import { DepthSection } from "../section.js";
import { stations } from "../stations.js";
import { Timeline } from "../timeline.js";

export class Overview {
  constructor(params) {
    this.colour = "depth";
    const options = {
      stations: () => stations.list, colouring: () => this.colouring(), onOpen: openEvent, layer: params.get("layer"),
      onStation: (code) => { location.hash = `#/station/${part(code)}`; }, onStep: (by) => this.step(by),
      covered: () => this.covered(), onSpan: (from, to) => this.change({ from, to }), onColour: (kind) => this.setColour(kind),
    };
    this.map = new EventMap(options);
    this.section = new DepthSection({ ...options, view: this.map.view });
    this.timeline = new Timeline(options);
    this.list = new EventList(options);
    this.legend = new Legend(options);
    this.bar = new FilterBar((changed) => this.change(changed));
    this.card = h("div", { class: "card", hidden: true, "aria-live": "polite" });
    this.credit = h("p", { class: "attribution" });
    this.build();
    this.listen();
    this.setParams(params);
    this.onData();
  }

  build() {
    this.map.element.append(this.legend.element, this.card, this.credit);
    const boxed = h("button", { type: "button", on: { click: () => this.boxFilter() } }, "Filter to map");
    this.boxed = boxed;
    this.element = h("div", { class: "overview" },
      h("h1", { class: "vh" }, "Events"), this.bar.element,
      h("section", { class: "panel map-panel", "aria-label": "Map" }, this.map.element),
      panel("Depth section", "section-panel", this.section.element, this.section.choice),
      panel("Events", "list-panel", this.list.element, [this.bar.count, boxed]),
      h("section", { class: "panel time-panel", "aria-label": "Time line" }, this.timeline.element));
  }

  listen() {
    catalogue.addEventListener("data", () => this.onData());
    catalogue.addEventListener("filter", () => this.onFilter());
    catalogue.addEventListener("select", () => this.onSelect());
    stations.addEventListener("data", () => {
      this.legend.update();
      if (this.map.touched) this.map.ask();
      else this.map.fit(true);
    });
    const draw = this.map.drawAll.bind(this.map);
    this.map.drawAll = () => {
      draw();
      this.afterMove();
    };
  }

  /** Width at the left that the legend covers, px. */
  covered() {
    return this.legend?.element.open && innerWidth > 720 ? this.legend.element.offsetWidth + 12 : 0;
  }

  /** The section follows the map when it comes to rest. */
  afterMove() {
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.section.drawing.ask(), 60);
    this.credit.textContent = this.map.coast.reason || (this.map.coast.source && `Coastlines: ${this.map.coast.source}`);
  }

  setParams(params) {
    const filter = readFilter(params);
    this.setColour(params.get("colour") === "time" ? "time" : "depth", false);
    catalogue.setFilter(filter);
    if (params.get("event")) catalogue.select(params.get("event"));
  }

  /** Range of the colour scale: the central 98 % of all depths, or all times. */
  colouring() {
    if (this.colour === "time") return { kind: "time", range: catalogue.range("time") ?? [0, 1] };
    const range = catalogue.range("depth_km", 0.98) ?? [0, 20];
    return { kind: "depth", range: [Math.min(0, range[0]), Math.max(range[1], range[0] + 1)] };
  }

  setColour(kind, write = true) {
    this.colour = kind;
    if (!write) return;
    this.legend.update();
    this.map.restyle();
    this.section.drawing.ask();
    this.timeline.drawing.ask();
    this.writeAddress();
  }

  change(changed) {
    catalogue.setFilter({ ...catalogue.filter, ...changed });
    this.writeAddress();
  }

  writeAddress() {
    const params = writeFilter(catalogue.filter);
    if (this.colour !== "depth") params.set("colour", this.colour);
    const query = params.toString();
    if (location.hash === "" || location.hash.startsWith("#/?") || location.hash === "#/") {
      history.replaceState(null, "", `#/${query ? `?${query}` : ""}`);
    }
  }

  boxFilter() {
    const box = catalogue.filter.box ? null : this.map.view.bounds().map((v) => Number(v.toFixed(4)));
    this.change({ box });
  }

  onData() {
    this.map.restyle();
    this.timeline.reset();
    this.legend.update();
    this.list.update(true);
    this.onFilter();
    this.onSelect();
  }

  onFilter() {
    this.map.refilter();
    this.timeline.drawing.ask();
    this.afterMove();
    this.list.update();
    this.bar.show(catalogue.filter);
    this.boxed.setAttribute("aria-pressed", String(catalogue.filter.box !== null));
    this.map.over.setAttribute("aria-label", `Map of ${catalogue.nShown} events and ${stations.list.length} stations`);
  }

  step(by) {
    const rows = [...this.list.rows].sort((a, b) => catalogue.time[a] - catalogue.time[b]);
    const at = rows.findIndex((i) => catalogue.event_id[i] === catalogue.selected);
    const next = at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by));
    if (rows.length) catalogue.select(catalogue.event_id[rows[next]]);
  }

  onSelect() {
    this.list.reveal();
    this.section.drawing.ask();
    const i = catalogue.row.get(catalogue.selected);
    if (i === undefined && this.card.contains(document.activeElement)) this.map.over.focus();
    this.card.hidden = i === undefined;
    if (i === undefined) this.cardShows = null;
    else this.showCard(i);
    this.map.ask();
  }

  async showCard(i) {
    const id = catalogue.event_id[i];
    // a card that says the same is not read out again with each change of the catalogue
    const shows = JSON.stringify(["version", "time", "longitude", "latitude", "depth_km", "magnitude"].map((name) => catalogue[name][i]).concat(id));
    if (this.cardShows === shows) return;
    this.cardShows = shows;
    const words = h("div", { class: "small soft" }, "…");
    fill(this.card,
      h("div", { class: "row" }, h("span", { class: "big" }, format.magnitude(catalogue.magnitude[i], catalogue.magnitude_type[i])),
        h("button", { class: "close", type: "button", "aria-label": "Clear the selection", on: { click: () => catalogue.select(null) } }, "×")),
      h("div", {}, `${format.time(catalogue.time[i], 1)} UTC`),
      h("div", {}, `${format.latitude(catalogue.latitude[i])}, ${format.longitude(catalogue.longitude[i])}, ${format.number(catalogue.depth_km[i])} km deep`),
      words, h("a", { href: `#/event/${part(id)}` }, "Open event"));
    try {
      const { event } = await get(`api/events/${part(id)}`);
      if (catalogue.selected !== id) return;
      this.map.detail = event;
      fill(words, cardWords(event));
      this.map.ask();
    } catch (error) {
      this.cardShows = null;
      fill(words, error.message);
    }
  }

  /** Called when the view is shown again. */
  shown() {
    this.map.resize();
  }
}

function cardWords(event) {
  const parts = [];
  if (Number.isFinite(event.ellipse_68_major_km)) {
    parts.push(`68 % region ${format.number(2 * event.ellipse_68_major_km)} × ${format.number(2 * event.ellipse_68_minor_km)} km`);
  }
  if (Number.isFinite(event.depth_sigma_km)) parts.push(`depth ± ${format.number(event.depth_sigma_km)} km (1 sigma)`);
  parts.push(`${event.n_p} P and ${event.n_s} S picks`);
  return parts.join(" · ");
}

export function openEvent(id) {
  location.hash = `#/event/${part(id)}`;
}
