// Traces of one event by distance, with picks and predicted arrivals; picks can be dragged.

import { Axes } from "./axes.js";
import { Drawing, pointerAt } from "./canvas.js";
import { h, hideTip, segments, showTip } from "./dom.js";
import * as format from "./format.js";
import { milliseconds } from "./format.js";
import { colour } from "./theme.js";

export class RecordSection {
  /**
   * `section` is the service's answer; `operator` {move(pick, time ms), add(station, phase, time ms)}
   * makes picks draggable, and a double click proposes a new one.
   */
  constructor(section, operator = null, even = true) {
    this.origin = milliseconds(section.origin_time);
    this.operator = operator;
    this.even = even;
    this.traces = section.traces.map((trace) => this.prepare(trace)).sort((a, b) => a.distance_km - b.distance_km);
    this.band = section.band_hz;
    this.canvas = h("canvas", { role: "img", "aria-label": this.describe() });
    this.element = h("div", { class: "plot" }, this.canvas);
    this.choice = segments("Order of the traces", [[true, "Even rows"], [false, "By distance"]], even, (even) => {
      this.even = even;
      this.drawing.ask();
    });
    this.drawing = new Drawing(this.canvas, (context, width, height) => this.draw(context, width, height));
    this.drag = null;
    this.listen();
  }

  describe() {
    const n = this.traces.length;
    return `Record section of ${n} ${n === 1 ? "station" : "stations"} by distance, with picks; the table of arrivals has the same numbers`;
  }

  prepare(trace) {
    const start = (milliseconds(trace.starttime) - this.origin) / 1000;
    let peak = 0;
    for (const v of trace.minimum) if (v !== null) peak = Math.max(peak, Math.abs(v));
    for (const v of trace.maximum) if (v !== null) peak = Math.max(peak, Math.abs(v));
    const seconds = (value) => (value ? (milliseconds(value) - this.origin) / 1000 : null);
    const picks = trace.picks.map((pick) => ({ ...pick, at: seconds(pick.time) }));
    // where there is an arrival, its residual says what the location predicted, station terms included
    const predicted = (phase, otherwise) => {
      const pick = picks.find((item) => item.phase === phase && Number.isFinite(item.residual_s));
      return pick ? pick.at - pick.residual_s : seconds(otherwise);
    };
    return {
      ...trace, start, peak, end: start + trace.minimum.length * trace.step_s, picks,
      p: predicted("P", trace.predicted_p), s: predicted("S", trace.predicted_s),
    };
  }

  /** From a little before the first to a little after the last arrival. */
  range() {
    let [low, high] = [Infinity, -Infinity];
    for (const trace of this.traces) {
      for (const t of [trace.p, trace.s, ...trace.picks.map((pick) => pick.at)]) {
        if (t !== null && Number.isFinite(t)) [low, high] = [Math.min(low, t), Math.max(high, t)];
      }
    }
    if (low > high) [low, high] = [Math.min(...this.traces.map((t) => t.start)), Math.max(...this.traces.map((t) => t.end))];
    const room = Math.max(2, (high - low) * 0.12);
    return [Math.max(Math.min(...this.traces.map((t) => t.start)), low - room), Math.min(Math.max(...this.traces.map((t) => t.end)), high + 2 * room)];
  }

  draw(context, width, height) {
    if (this.traces.length === 0) return;
    const n = this.traces.length;
    const far = this.traces[n - 1].distance_km;
    const narrow = width < 560;
    const y = this.even ? [-0.7, n - 0.3] : [-0.04 * far, far * 1.05];
    this.axes = new Axes(context, width, height, {
      x: this.range(), y, xLabel: "s after origin time", yLabel: this.even ? "" : "epicentral distance, km",
      margin: { left: this.even ? (narrow ? 88 : 158) : 52, bottom: 36 },
    });
    this.axes.frame(this.even ? { yTicks: [] } : {});
    this.row = (this.axes.bottom - this.axes.top) / Math.max(1, n);
    this.traces.forEach((trace, k) => {
      trace.y = this.axes.py(this.even ? k : trace.distance_km);
      if (this.even) this.label(context, trace, narrow);
    });
    this.axes.clipped(() => {
      this.curves(context);
      for (const trace of this.traces) this.wiggle(context, trace);
      for (const trace of this.traces) this.picks(context, trace);
    });
  }

  label(context, trace, narrow) {
    if (this.row < 9 && this.traces.indexOf(trace) % 2) return;
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "left";
    context.fillStyle = colour("ink");
    const [, station] = trace.station.split(".");
    context.fillText(narrow ? station ?? trace.station : trace.station, 10, trace.y + 4);
    context.textAlign = "right";
    context.fillStyle = colour("soft");
    context.fillText(`${format.number(trace.distance_km, narrow ? 0 : 1)} km`, this.axes.left - 6, trace.y + 4);
  }

  /** Predicted arrivals: joined by distance, ticks in even rows. */
  curves(context) {
    for (const [key, ink] of [["p", "p"], ["s", "s"]]) {
      context.strokeStyle = colour(ink);
      context.setLineDash([4, 4]);
      context.lineWidth = 1;
      context.beginPath();
      for (const trace of this.traces) if (trace[key] !== null) context.lineTo(this.axes.px(trace[key]), trace.y);
      context.globalAlpha = 0.75;
      context.stroke();
      context.globalAlpha = 1;
      context.setLineDash([]);
    }
  }

  wiggle(context, trace) {
    if (!(trace.peak > 0)) return;
    const size = Math.max(6, Math.min(34, (this.even ? this.row : this.row * 1.6) * 0.55));
    const step = trace.step_s;
    context.strokeStyle = colour("trace");
    context.lineWidth = 0.9;
    context.beginPath();
    let pen = false;
    for (let i = 0; i < trace.minimum.length; i += 1) {
      const low = trace.minimum[i];
      const high = trace.maximum[i];
      if (low === null || high === null) {
        pen = false;
        continue;
      }
      const x = this.axes.px(trace.start + i * step);
      if (x < this.axes.left - 2 || x > this.axes.right + 2) continue;
      const [y0, y1] = [trace.y - (high / trace.peak) * size, trace.y - (low / trace.peak) * size];
      if (pen) context.lineTo(x, y0);
      else context.moveTo(x, y0);
      context.lineTo(x, y1);
      pen = true;
    }
    context.stroke();
  }

  picks(context, trace) {
    const half = Math.max(5, Math.min(13, this.row * 0.5));
    for (const pick of trace.picks) {
      const ink = colour(pick.phase === "S" ? "s" : "p");
      const x = this.axes.px(this.drag?.pick === pick ? this.drag.at : pick.at);
      const wide = this.axes.px(pick.at + (pick.time_sigma_s || 0)) - this.axes.px(pick.at);
      context.fillStyle = ink;
      context.globalAlpha = 0.18;
      context.fillRect(x - wide, trace.y - half, Math.max(1, 2 * wide), 2 * half);
      context.globalAlpha = (pick.weight ?? 1) > 0.5 ? 1 : 0.5;
      context.fillRect(x - 1, trace.y - half, 2, 2 * half);
      if (this.row > 15) {
        context.font = "600 10px system-ui, sans-serif";
        context.textAlign = "left";
        context.fillText(pick.phase, x + 3, trace.y - half + 8);
      }
      context.globalAlpha = 1;
    }
  }

  near(px, py) {
    let found = null;
    for (const trace of this.traces) {
      if (Math.abs(py - trace.y) > Math.max(8, this.row * 0.5)) continue;
      for (const pick of trace.picks) {
        const d = Math.abs(this.axes.px(pick.at) - px);
        if (d < (found?.d ?? 7)) found = { pick, trace, d };
      }
    }
    return found;
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerleave", hideTip);
    canvas.addEventListener("pointerdown", (event) => {
      const found = this.operator && this.axes && this.near(...pointerAt(canvas, event));
      if (!found) return;
      canvas.setPointerCapture(event.pointerId);
      this.drag = { pick: found.pick, at: found.pick.at };
      event.preventDefault();
    });
    canvas.addEventListener("pointerup", () => {
      const { drag } = this;
      this.drag = null;
      if (drag && Math.abs(drag.at - drag.pick.at) > 0.001) this.operator.move(drag.pick, Math.round(this.origin + drag.at * 1000));
      this.drawing.ask();
    });
    canvas.addEventListener("dblclick", (event) => this.addAt(...pointerAt(canvas, event)));
  }

  /** Propose a pick on the trace under the pointer, of the phase whose prediction is nearer. */
  addAt(px, py) {
    if (!this.operator || !this.axes?.contains(px, py)) return;
    const trace = this.traces.reduce((a, b) => (Math.abs(b.y - py) < Math.abs(a.y - py) ? b : a));
    const at = this.axes.xAt(px);
    const off = (predicted) => (predicted === null ? Infinity : Math.abs(at - predicted));
    this.operator.add(trace.station, off(trace.s) < off(trace.p) ? "S" : "P", Math.round(this.origin + at * 1000));
  }

  move(event) {
    if (!this.axes) return;
    const [px, py] = pointerAt(this.canvas, event);
    if (this.drag) {
      this.drag.at = this.axes.xAt(px);
      this.drawing.ask();
      showTip(`${this.drag.pick.phase} moved by ${format.signed(this.drag.at - this.drag.pick.at)} s`, event.clientX, event.clientY);
      return;
    }
    const found = this.near(px, py);
    this.canvas.classList.toggle("grab", Boolean(found && this.operator));
    if (found) showTip(pickLine(found.pick, found.trace), event.clientX, event.clientY);
    else hideTip();
  }
}

function pickLine(pick, trace) {
  const lines = [`${pick.phase} at ${trace.station}, ${format.number(trace.distance_km)} km`, `${format.time(pick.time, 2)} UTC ± ${format.number(pick.time_sigma_s, 2)} s (1 sigma)`];
  if (Number.isFinite(pick.residual_s)) lines.push(`residual ${format.signed(pick.residual_s)} s, weight ${format.number(pick.weight, 2)}`);
  return lines.join("\n");
}
