// Depth below a line through the map.

import { Axes, padded } from "./axes.js";
import { Drawing, pointerAt } from "./canvas.js";
import { catalogue } from "./catalogue.js";
import { h, hideTip, segments, showTip } from "./dom.js";
import { drawDots } from "./dots.js";
import { eventLine } from "./map.js";
import { eastNorth } from "./projection.js";
import { colourAt, colourTable, radius } from "./scales.js";
import { colour } from "./theme.js";

// From this many events on, circles become small dots so that a section stays quick.
const MANY = 6000;

export class DepthSection {
  /** `options`: view of the map, colouring(), onOpen(id). */
  constructor(options) {
    this.options = options;
    this.azimuth = 90;
    this.canvas = h("canvas", { role: "img", "aria-label": "Depth section of the events on the map" });
    this.element = h("div", { class: "plot" }, this.canvas);
    this.angle = h("input", {
      type: "number", min: "0", max: "179", step: "5", value: "90", "aria-label": "Azimuth of the section, degrees from north",
      on: { change: () => this.turn(Number(this.angle.value) || 0) },
    });
    this.choice = h("span", { class: "seg-line" },
      segments("Direction of the section", [[90, "W–E"], [0, "S–N"]], 90, (azimuth) => {
        this.angle.value = azimuth;
        this.turn(azimuth);
      }), " ", this.angle, " °");
    this.drawing = new Drawing(this.canvas, (context, width, height) => this.draw(context, width, height));
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", hideTip);
    this.canvas.addEventListener("click", (event) => {
      const i = this.eventAt(...pointerAt(this.canvas, event));
      if (i >= 0) catalogue.select(catalogue.event_id[i]);
    });
  }

  turn(azimuth) {
    this.azimuth = ((azimuth % 180) + 180) % 180;
    this.drawing.ask();
  }

  /** Rows that the map shows, with their distance along the section. */
  collect() {
    const { view } = this.options;
    const [west, south, east, north] = view.bounds();
    const origin = view.middle();
    const a = this.azimuth * (Math.PI / 180);
    const rows = [];
    const along = [];
    for (let i = 0; i < catalogue.n; i += 1) {
      const lon = catalogue.longitude[i];
      const lat = catalogue.latitude[i];
      if (!catalogue.shown[i] || !(lon >= west && lon <= east && lat >= south && lat <= north)) continue;
      const [e, n] = eastNorth(lon, lat, origin);
      rows.push(i);
      along.push(e * Math.sin(a) + n * Math.cos(a));
    }
    return { rows, along };
  }

  draw(context, width, height) {
    const { rows, along } = this.collect();
    this.rows = rows;
    this.along = along;
    if (rows.length === 0) {
      this.axes = null;
      context.fillStyle = colour("soft");
      context.textAlign = "center";
      context.fillText("No events on the map", width / 2, height / 2);
      return;
    }
    const depths = padded(rows.map((i) => catalogue.depth_km[i]), 0.2, 0.5);
    // room for the circles of the deepest
    const largest = rows.reduce((most, i) => Math.max(most, radius(catalogue.magnitude[i])), 0);
    depths[1] += ((depths[1] - Math.min(depths[0], 0)) * largest) / height;
    const names = { 90: "km west to east of the map's centre", 0: "km south to north of the map's centre" };
    this.axes = new Axes(context, width, height, {
      x: padded(along, 0.04, 0.5), y: [Math.min(depths[0], 0), depths[1]],
      xLabel: names[this.azimuth] ?? `km along ${this.azimuth}° from the map's centre`, yLabel: "depth, km", ny: Math.max(3, height / 36),
    });
    this.axes.frame();
    this.axes.clipped(() => this.dots(context));
  }

  dots(context) {
    const { kind, range } = this.options.colouring();
    const table = colourTable(kind);
    const values = kind === "time" ? catalogue.time : catalogue.depth_km;
    const width = range[1] - range[0] || 1;
    if (this.rows.length > MANY) {
      drawDots(context, {
        x: Float32Array.from(this.along, (v) => this.axes.px(v)), y: Float32Array.from(this.rows, (i) => this.axes.py(catalogue.depth_km[i])),
        value: Float32Array.from(this.rows, (i) => Math.max(0, (values[i] - range[0]) / width)),
        kind, hidden: null, size: 2, width: this.axes.right, height: this.axes.bottom,
      });
    } else this.circles(context, (i) => colourAt(table, (values[i] - range[0]) / width));
    this.mark(context);
  }

  /** Large events first, so that small ones stay in sight. */
  circles(context, ink) {
    const order = this.rows.map((_, k) => k).sort((a, b) => (catalogue.magnitude[this.rows[b]] || 0) - (catalogue.magnitude[this.rows[a]] || 0));
    context.globalAlpha = 0.86;
    for (const k of order) {
      const i = this.rows[k];
      context.fillStyle = ink(i);
      context.beginPath();
      context.arc(this.axes.px(this.along[k]), this.axes.py(catalogue.depth_km[i]), radius(catalogue.magnitude[i]), 0, 2 * Math.PI);
      context.fill();
    }
    context.globalAlpha = 1;
  }

  mark(context) {
    const k = this.rows.findIndex((i) => catalogue.event_id[i] === catalogue.selected);
    if (k < 0) return;
    context.strokeStyle = colour("accent");
    context.lineWidth = 2.4;
    context.beginPath();
    context.arc(this.axes.px(this.along[k]), this.axes.py(catalogue.depth_km[this.rows[k]]), radius(catalogue.magnitude[this.rows[k]]) + 4, 0, 2 * Math.PI);
    context.stroke();
  }

  eventAt(px, py) {
    if (!this.axes) return -1;
    let found = -1;
    let least = 9;
    this.rows.forEach((i, k) => {
      const d = Math.hypot(this.axes.px(this.along[k]) - px, this.axes.py(catalogue.depth_km[i]) - py);
      if (d < least) [found, least] = [i, d];
    });
    return found;
  }

  hover(event) {
    const i = this.eventAt(...pointerAt(this.canvas, event));
    if (i >= 0) showTip(eventLine(i), event.clientX, event.clientY);
    else hideTip();
  }
}
