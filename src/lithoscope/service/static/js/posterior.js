// The posterior of the hypocentre: samples in map view and in two sections, to one scale.

import { Axes, padded } from "./axes.js";
import { Drawing } from "./canvas.js";
import { h, segments } from "./dom.js";
import { eastNorth, ellipse } from "./projection.js";
import { colour } from "./theme.js";

export class Posterior {
  constructor(event, samples, side = 0) {
    this.event = event;
    this.points = samples.longitude.map((lon, k) => [...eastNorth(lon, samples.latitude[k], event), samples.depth_km[k]]);
    this.side = side;
    this.canvas = h("canvas", { role: "img", "aria-label": this.describe() });
    this.element = h("div", { class: "plot" }, this.canvas);
    this.choice = segments("Section of the cloud", [[0, "W–E"], [1, "S–N"]], side, (side) => {
      this.side = side;
      this.drawing.ask();
    });
    this.drawing = new Drawing(this.canvas, (context, width, height) => this.draw(context, width, height));
  }

  describe() {
    return `${this.points.length} samples of the posterior of the hypocentre in map and depth section; the sentences above state its size`;
  }

  /** Half widths that hold all but the outermost samples and the 95 % ellipse. */
  reach() {
    const far = (k, middle) => {
      const all = this.points.map((p) => Math.abs(p[k] - middle)).sort((a, b) => a - b);
      return all[Math.floor(all.length * 0.99)] ?? 1;
    };
    const major = this.event.ellipse_95_major_km;
    const flat = Math.max(0.05, far(0, 0), far(1, 0), Number.isFinite(major) ? major : 0) * 1.15;
    return { flat, deep: Math.max(0.05, far(2, this.event.depth_km)) * 1.15 };
  }

  draw(context, width, height) {
    const { flat, deep } = this.reach();
    const half = Math.max(flat, deep);
    const gap = 8;
    const each = (width - gap) / 2;
    const stacked = width < 460;
    const box = stacked ? [width, (height - gap) / 2] : [each, height];
    this.plane(context, ...box, half);
    context.save();
    context.translate(stacked ? 0 : each + gap, stacked ? box[1] + gap : 0);
    this.depth(context, ...box, half);
    context.restore();
  }

  square(context, width, height, half, y, labels) {
    const margin = { left: 50, right: 8, top: 8, bottom: 34 };
    const [w, hgt] = [width - margin.left - margin.right, height - margin.top - margin.bottom];
    // one km is as long in both directions
    const kx = half * Math.max(1, w / hgt);
    const ky = half * Math.max(1, hgt / w);
    const axes = new Axes(context, width, height, { x: [-kx, kx], y: y(ky), margin, nx: Math.max(4, w / 40), ny: Math.max(4, hgt / 40), ...labels });
    axes.frame();
    return axes;
  }

  plane(context, width, height, half) {
    const axes = this.square(context, width, height, half, (k) => [k, -k], { xLabel: "km east", yLabel: "km north" });
    axes.clipped(() => {
      this.dots(context, axes, (p) => [p[0], p[1]]);
      const { event } = this;
      for (const [share, dash] of [["68", []], ["95", [5, 4]]]) {
        const [a, b] = [event[`ellipse_${share}_major_km`], event[`ellipse_${share}_minor_km`]];
        if (!Number.isFinite(a) || !Number.isFinite(b)) continue;
        context.beginPath();
        for (const [lon, lat] of ellipse(event.longitude, event.latitude, a, b, event.ellipse_azimuth_deg ?? 0)) {
          const [e, n] = eastNorth(lon, lat, event);
          context.lineTo(axes.px(e), axes.py(n));
        }
        context.setLineDash(dash);
        context.strokeStyle = colour("mark");
        context.lineWidth = 1.3;
        context.stroke();
        context.setLineDash([]);
      }
      cross(context, axes.px(0), axes.py(0));
    });
  }

  depth(context, width, height, half) {
    const z = this.event.depth_km;
    const xLabel = this.side === 0 ? "km east" : "km north";
    const axes = this.square(context, width, height, half, (k) => [z - k, z + k], { xLabel, yLabel: "depth, km" });
    axes.clipped(() => {
      if (axes.y[0] < 0) {
        context.fillStyle = colour("grid");
        context.fillRect(axes.left, axes.top, axes.right - axes.left, Math.max(0, axes.py(0) - axes.top));
      }
      this.dots(context, axes, (p) => [p[this.side], p[2]]);
      this.interval(context, axes);
      cross(context, axes.px(0), axes.py(z));
    });
  }

  interval(context, axes) {
    const [low, high] = [this.event.depth_68_low_km, this.event.depth_68_high_km];
    if (!Number.isFinite(low) || !Number.isFinite(high)) return;
    context.fillStyle = colour("mark");
    context.fillRect(axes.right - 7, axes.py(low), 3, axes.py(high) - axes.py(low));
  }

  dots(context, axes, place) {
    context.fillStyle = colour("accent");
    context.globalAlpha = Math.max(0.12, Math.min(0.6, 300 / this.points.length));
    for (const point of this.points) {
      const [x, y] = place(point);
      context.fillRect(axes.px(x) - 1, axes.py(y) - 1, 2.2, 2.2);
    }
    context.globalAlpha = 1;
  }
}

function cross(context, x, y) {
  for (const [ink, width] of [["halo", 4], ["s", 1.8]]) {
    context.strokeStyle = colour(ink);
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(x - 6, y);
    context.lineTo(x + 6, y);
    context.moveTo(x, y - 6);
    context.lineTo(x, y + 6);
    context.stroke();
  }
}

/** Station magnitudes against distance, with the network magnitude and its 1 sigma. */
export class StationMagnitudes {
  constructor(event, rows) {
    this.event = event;
    this.rows = rows.filter((row) => Number.isFinite(row.magnitude));
    this.canvas = h("canvas", { role: "img", "aria-label": "Station magnitudes against distance; the table below has the same numbers" });
    this.element = h("div", { class: "plot" }, this.canvas);
    this.drawing = new Drawing(this.canvas, (context, width, height) => this.draw(context, width, height));
  }

  draw(context, width, height) {
    const values = this.rows.map((row) => row.magnitude);
    const y = padded([...values, this.event.magnitude], 0.15, 0.2);
    const far = Math.max(1, ...this.rows.map((row) => row.distance_km || 0));
    const axes = new Axes(context, width, height, {
      x: [0, far * 1.06], y: [y[1], y[0]], xLabel: "hypocentral distance, km", yLabel: "magnitude",
    });
    axes.frame();
    axes.clipped(() => {
      const { magnitude, magnitude_sigma: sigma } = this.event;
      if (Number.isFinite(magnitude)) {
        context.fillStyle = colour("band");
        if (Number.isFinite(sigma)) context.fillRect(axes.left, axes.py(magnitude + sigma), axes.right - axes.left, axes.py(magnitude - sigma) - axes.py(magnitude + sigma));
        context.strokeStyle = colour("ink");
        context.lineWidth = 1.2;
        context.beginPath();
        axes.line(axes.left, axes.py(magnitude), axes.right, axes.py(magnitude));
        context.stroke();
      }
      for (const row of this.rows) {
        context.beginPath();
        context.arc(axes.px(row.distance_km), axes.py(row.magnitude), 4, 0, 2 * Math.PI);
        context.fillStyle = row.used ? colour("accent") : colour("panel");
        context.fill();
        context.strokeStyle = row.used ? colour("panel") : colour("soft");
        context.lineWidth = 1.2;
        context.stroke();
      }
    });
  }
}
