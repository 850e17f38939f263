// The map: base, events and stations on three canvases; pan and zoom by mouse, touch and keys.

import { Coastlines, drawBase, drawScaleBar } from "./basemap.js";
import { Drawing, pixelRatio, pointerAt, sizeCanvas } from "./canvas.js";
import { catalogue } from "./catalogue.js";
import { h, hideTip, showTip } from "./dom.js";
import * as format from "./format.js";
import { drawEllipses, drawSelection, drawStations } from "./marks.js";
import { View } from "./projection.js";
import { pointLayer } from "./points.js";
import { colourTable, radius } from "./scales.js";
import { colour } from "./theme.js";

const HELP = "Arrow keys move the map, plus and minus zoom, 0 shows all events, N and P select the next "
  + "and the previous event in time, Enter opens it, Escape clears the selection.";

export class EventMap {
  /** `options`: stations() list, colouring() {kind, range}, onOpen(id), onStation(code). */
  constructor(options) {
    this.options = options;
    this.view = new View();
    this.touched = false;
    this.pointers = new Map();
    this.detail = null;
    this.frames = [];
    this.build();
    this.coast = new Coastlines(() => this.base.ask());
    this.layer = pointLayer(this.events, options.layer);
    this.base = new Drawing(this.below, (context) => {
      drawBase(context, this.view, this.coast);
      this.coast.need(this.view);
    });
    this.top = new Drawing(this.over, (context) => this.drawOver(context));
    this.base.resize = () => this.resize();
    this.events.addEventListener("redraw", () => this.ask());
    addEventListener("theme", this.onTheme = () => this.restyle());
    this.listen();
  }

  build() {
    this.below = h("canvas", { "aria-hidden": "true" });
    this.events = h("canvas", { "aria-hidden": "true" });
    this.over = h("canvas", {
      class: "over", tabindex: "0", role: "application", "aria-label": "Map of events and stations",
      "aria-describedby": "map-help",
    });
    const tool = (text, label, act) => h("button", { type: "button", "aria-label": label, title: label, on: { click: act } }, text);
    this.element = h("div", { class: "plot" }, this.below, this.events, this.over,
      h("p", { class: "vh", id: "map-help" }, HELP),
      h("div", { class: "map-tools" },
        tool("+", "Zoom in", () => this.zoom(1.6)), tool("−", "Zoom out", () => this.zoom(1 / 1.6)),
        tool("⤢", "Show all events", () => this.showEvents())));
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (width < 2 || height < 2) return;
    for (const canvas of [this.below, this.events, this.over]) sizeCanvas(canvas, width, height);
    this.view.width = width;
    this.view.height = height;
    if (this.touched) this.drawAll();
    else this.fit(true);
  }

  /** Give the layer the places, sizes and colours of all events; large ones below small ones. */
  restyle() {
    const { n } = catalogue;
    const { kind, range } = this.options.colouring();
    const values = kind === "time" ? catalogue.time : catalogue.depth_km;
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    const rank = Float64Array.from({ length: n }, (_, i) => (Number.isFinite(catalogue.magnitude[i]) ? catalogue.magnitude[i] : -9));
    order.sort((a, b) => rank[b] - rank[a]);
    const data = {
      x: new Float64Array(n), y: new Float64Array(n), size: new Float32Array(n), value: new Float32Array(n),
      shown: new Uint8Array(n), table: colourTable(kind),
    };
    const width = range[1] - range[0] || 1;
    for (let k = 0; k < n; k += 1) {
      const i = order[k];
      data.x[k] = catalogue.x[i];
      data.y[k] = catalogue.y[i];
      data.size[k] = radius(catalogue.magnitude[i]);
      data.value[k] = Math.max(0, Math.min(1, (values[i] - range[0]) / width)) || 0;
      data.shown[k] = catalogue.shown[i];
    }
    this.order = order;
    this.layer.set(data);
    if (this.touched) this.drawAll();
    else this.fit(true);
  }

  refilter() {
    if (!this.order || this.order.length !== catalogue.n) return;
    const shown = new Uint8Array(catalogue.n);
    for (let k = 0; k < catalogue.n; k += 1) shown[k] = catalogue.shown[this.order[k]];
    this.layer.setShown(shown);
    this.ask();
  }

  /** Show all events that the filter lets through, or most of them and the network around. */
  fit(network = false) {
    const box = boundsOf(this.options.stations(), network);
    if (this.view.width < 2) return;
    this.view.covered = this.options.covered?.() ?? 0;
    if (box) this.view.fit(box, 0.1);
    this.drawAll();
  }

  showEvents() {
    this.touched = true;
    this.fit();
  }

  zoom(factor, px, py) {
    this.touched = true;
    this.view.zoom(factor, px, py);
    this.ask();
  }

  ask() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.drawAll();
    });
  }

  drawAll() {
    const begun = performance.now();
    this.base.draw();
    this.layer.draw(this.view, pixelRatio(), rgb(colour("mark")));
    this.top.draw();
    this.frames.push(performance.now() - begun);
    if (this.frames.length > 240) this.frames.shift();
  }

  drawOver(context) {
    drawStations(context, this.view, this.options.stations());
    const i = catalogue.row.get(catalogue.selected);
    if (i !== undefined) {
      if (this.detail?.event_id === catalogue.selected) drawEllipses(context, this.view, this.detail);
      drawSelection(context, this.view, catalogue.longitude[i], catalogue.latitude[i], radius(catalogue.magnitude[i]));
    }
    drawScaleBar(context, this.view, this.view.width - 12, this.view.height - 22);
  }

  eventAt(px, py) {
    const [x, y] = this.view.toWorld(px, py);
    return catalogue.index?.best(x, y, 30 / this.view.scale, (i) => {
      if (!catalogue.shown[i]) return Infinity;
      const d = Math.hypot(catalogue.x[i] - x, catalogue.y[i] - y) * this.view.scale;
      const size = radius(catalogue.magnitude[i]);
      return d > Math.max(size, 5) + 2 ? Infinity : d + size * 0.3;
    }) ?? -1;
  }

  stationAt(px, py) {
    let found = null;
    for (const station of this.options.stations()) {
      const [x, y] = this.view.project(station.longitude, station.latitude);
      if (Math.hypot(px - x, py - y) < 9) found = station;
    }
    return found;
  }

  listen() {
    const { over } = this;
    over.addEventListener("wheel", (event) => {
      event.preventDefault();
      const [px, py] = pointerAt(over, event);
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0016)), px, py);
    }, { passive: false });
    over.addEventListener("pointerdown", (event) => this.press(event));
    over.addEventListener("pointermove", (event) => this.move(event));
    for (const type of ["pointerup", "pointercancel"]) over.addEventListener(type, (event) => this.release(event));
    over.addEventListener("pointerleave", hideTip);
    over.addEventListener("dblclick", (event) => this.open(...pointerAt(over, event)));
    over.addEventListener("keydown", (event) => this.key(event));
  }

  press(event) {
    this.over.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, pointerAt(this.over, event));
    this.moved = 0;
    hideTip();
  }

  move(event) {
    const now = pointerAt(this.over, event);
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.hover(event, now);
      return;
    }
    if (this.pointers.size === 1) {
      this.moved += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
      if (this.moved > 4) {
        this.over.classList.add("dragging");
        this.touched = true;
        this.view.pan(now[0] - before[0], now[1] - before[1]);
        this.ask();
      }
    } else this.pinch(event.pointerId, before, now);
    this.pointers.set(event.pointerId, now);
  }

  pinch(id, before, now) {
    const other = [...this.pointers].find(([key]) => key !== id)[1];
    const was = Math.hypot(before[0] - other[0], before[1] - other[1]);
    const is = Math.hypot(now[0] - other[0], now[1] - other[1]);
    this.moved = 99;
    this.view.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    if (was > 8) this.zoom(is / was, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  }

  release(event) {
    const at = this.pointers.get(event.pointerId);
    this.pointers.delete(event.pointerId);
    this.over.classList.remove("dragging");
    if (at && this.moved <= 4 && event.type === "pointerup") this.click(...at);
  }

  click(px, py) {
    const i = this.eventAt(px, py);
    if (i >= 0) {
      catalogue.select(catalogue.event_id[i]);
      return;
    }
    const station = this.stationAt(px, py);
    if (station) this.options.onStation(station.station);
    else catalogue.select(null);
  }

  open(px, py) {
    const i = this.eventAt(px, py);
    if (i >= 0) this.options.onOpen(catalogue.event_id[i]);
    else this.zoom(2, px, py);
  }

  hover(event, [px, py]) {
    const i = this.eventAt(px, py);
    if (i >= 0) showTip(eventLine(i), event.clientX, event.clientY);
    else {
      const station = this.stationAt(px, py);
      if (station) showTip(stationLine(station), event.clientX, event.clientY);
      else hideTip();
    }
  }

  key(event) {
    const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    this.touched ||= Boolean(step) || "+=-".includes(event.key);
    if (step) this.view.pan(...step);
    else if (event.key === "+" || event.key === "=") this.view.zoom(1.5);
    else if (event.key === "-") this.view.zoom(1 / 1.5);
    else if (event.key === "0") this.showEvents();
    else if (event.key === "n" || event.key === "p") this.options.onStep(event.key === "n" ? 1 : -1);
    else if (event.key === "Escape") catalogue.select(null);
    else if (event.key === "Enter" && catalogue.selected) this.options.onOpen(catalogue.selected);
    else return;
    event.preventDefault();
    this.ask();
  }
}

function rgb(text) {
  const value = text.replace("#", "");
  return [0, 2, 4].map((i) => parseInt(value.slice(i, i + 2), 16) || 0);
}

/**
 * Box of the shown events; with the network, of all but the outermost (1 % on each side), widened by
 * the stations within 1.5 times their extent or 1 degree.
 */
function boundsOf(stations, network) {
  let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
  const take = (lon, lat) => {
    if (!Number.isFinite(lon) || !Number.isFinite(lat)) return;
    west = Math.min(west, lon);
    east = Math.max(east, lon);
    south = Math.min(south, lat);
    north = Math.max(north, lat);
  };
  const inside = (values) => {
    const sorted = Float64Array.from(values).filter((v, i) => catalogue.shown[i] && Number.isFinite(v)).sort();
    const out = network ? Math.ceil(sorted.length * 0.01) * (sorted.length > 20) : 0;
    return [sorted[out], sorted.at(-1 - out)];
  };
  const [longitudes, latitudes] = [inside(catalogue.longitude), inside(catalogue.latitude)];
  for (const k of [0, 1]) take(longitudes[k], latitudes[k]);
  const alone = west > east;
  const reach = alone ? Infinity : Math.max(1, 1.5 * Math.max(east - west, north - south));
  const [cx, cy] = [(west + east) / 2, (south + north) / 2];
  for (const { longitude, latitude } of network || alone ? stations : []) {
    if (alone || (Math.abs(longitude - cx) < reach && Math.abs(latitude - cy) < reach)) take(longitude, latitude);
  }
  return west > east ? null : [west, south, east, north];
}

export function eventLine(i) {
  const magnitude = format.magnitude(catalogue.magnitude[i], catalogue.magnitude_type[i]);
  return `${magnitude}, ${format.number(catalogue.depth_km[i])} km deep\n${format.time(catalogue.time[i], 1)} UTC\n${catalogue.event_id[i]}`;
}

export function stationLine(station) {
  const lines = [station.station, `${format.withUnit(station.elevation_m, 0, "m")} above sea level`];
  if (station.state && station.state !== "unknown") lines.push(`state: ${station.state}`);
  if (Number.isFinite(station.latency_s)) lines.push(`latency ${format.span(station.latency_s)}`);
  return lines.join("\n");
}
