// Number of events and magnitudes against time; dragging over it filters by time.

import { Axes } from "./axes.js";
import { haloText } from "./basemap.js";
import { Drawing, pointerAt } from "./canvas.js";
import { catalogue } from "./catalogue.js";
import { h, hideTip, showTip } from "./dom.js";
import { drawDots } from "./dots.js";
import * as format from "./format.js";
import { colour } from "./theme.js";

const HELP = "Drag to choose a span of time. With the keyboard: left and right arrows move the span, "
  + "up and down widen and narrow it, Escape shows all times.";

export class Timeline {
  /** `options`: colouring() {kind, range}, onSpan(from, to) with null for no limit. */
  constructor(options) {
    this.options = options;
    this.canvas = h("canvas", {
      tabindex: "0", role: "application", "aria-label": "Time line of events", "aria-describedby": "time-help",
    });
    this.element = h("div", { class: "plot" }, this.canvas, h("p", { class: "vh", id: "time-help" }, HELP));
    this.drawing = new Drawing(this.canvas, (context, width, height) => this.draw(context, width, height));
    this.drag = null;
    this.listen();
  }

  reset() {
    this.full = catalogue.range("time");
    if (this.full) {
      const room = Math.max(1000, (this.full[1] - this.full[0]) * 0.01);
      this.full = [this.full[0] - room, this.full[1] + room];
    }
    this.drawing.ask();
  }

  draw(context, width, height) {
    if (!this.full) return;
    const split = Math.round(height * 0.4);
    // no finer than the events deserve, no narrower than a bar can be seen
    const bins = Math.max(10, Math.min(Math.floor((width - 64) / 5), Math.max(30, Math.ceil(8 * Math.sqrt(catalogue.n)))));
    const { all, shown } = this.histogram(bins);
    const most = Math.max(1, ...all);
    const margin = { left: 44, right: 14 };
    const counts = new Axes(context, width, split, { x: this.full, y: [most * 1.08, 0], margin: { ...margin, top: 5, bottom: 3 }, timeX: true, ny: 2 });
    counts.frame({ xTicks: [], yTicks: [0, most].map((n) => [n, format.count(n)]) });
    this.bars(context, counts, all, colour("rule"));
    this.bars(context, counts, shown, colour("bar"));
    const magnitudes = catalogue.range("magnitude") ?? [0, 1];
    const y = [magnitudes[1] + 0.4, magnitudes[0] - 0.3];
    const lower = new Axes(context, width, height - split, { x: this.full, y, margin: { ...margin, top: 4, bottom: 22 }, timeX: true, ny: 3 });
    context.save();
    context.translate(0, split);
    lower.frame();
    lower.clipped(() => this.dots(context, lower));
    context.restore();
    this.axes = lower;
    this.label(context, bins, split);
    this.span(context, lower, height);
  }

  label(context, bins, split) {
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "left";
    haloText(context, `events per ${format.span((this.full[1] - this.full[0]) / 1000 / bins)}`, 50, 17);
    haloText(context, "magnitude", 50, split + 17);
  }

  histogram(bins) {
    const all = new Array(bins).fill(0);
    const shown = new Array(bins).fill(0);
    const [low, high] = this.full;
    for (let i = 0; i < catalogue.n; i += 1) {
      const b = Math.min(bins - 1, Math.floor(((catalogue.time[i] - low) / (high - low)) * bins));
      if (!(b >= 0)) continue;
      all[b] += 1;
      shown[b] += catalogue.shown[i];
    }
    return { all, shown };
  }

  bars(context, axes, values, ink) {
    const step = (axes.right - axes.left) / values.length;
    context.fillStyle = ink;
    values.forEach((n, b) => {
      if (n) context.fillRect(axes.left + b * step, axes.py(n), Math.max(1, step - 1), axes.bottom - axes.py(n));
    });
  }

  dots(context, axes) {
    const { kind, range } = this.options.colouring();
    const { n, time, magnitude, shown, depth_km: depth } = catalogue;
    const scale = kind === "time" ? time : depth;
    const [x, y, value] = [new Float32Array(n), new Float32Array(n), new Float32Array(n)];
    const width = range[1] - range[0] || 1;
    for (let i = 0; i < n; i += 1) {
      x[i] = axes.px(time[i]);
      y[i] = axes.py(magnitude[i]);
      value[i] = shown[i] ? Math.max(0, (scale[i] - range[0]) / width) : -1;
    }
    drawDots(context, { x, y, value, kind, hidden: colour("rule"), size: 3, width: axes.right, height: axes.bottom });
  }

  span(context, axes, height) {
    const [from, to] = this.chosen();
    if (from === null && to === null) return;
    const x0 = Math.max(axes.left, axes.px(from ?? this.full[0]));
    const x1 = Math.min(axes.right, axes.px(to ?? this.full[1]));
    context.globalAlpha = 0.14;
    context.fillStyle = colour("accent");
    context.fillRect(x0, 4, Math.max(1, x1 - x0), height - 26);
    context.globalAlpha = 1;
    context.fillRect(x0 - 1, 4, 2, height - 26);
    context.fillRect(x1 - 1, 4, 2, height - 26);
  }

  chosen() {
    if (this.drag && this.drag.moved) return [Math.min(this.drag.a, this.drag.b), Math.max(this.drag.a, this.drag.b)];
    return [catalogue.filter.from, catalogue.filter.to];
  }

  listen() {
    const { canvas } = this;
    const at = (event) => {
      const [px] = pointerAt(canvas, event);
      return Math.max(this.full[0], Math.min(this.full[1], this.axes.xAt(px)));
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.axes) return;
      canvas.setPointerCapture(event.pointerId);
      this.drag = this.begin(event, at(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.axes) return;
      if (this.drag) this.dragTo(at(event), pointerAt(canvas, event)[0]);
      else showTip(`${format.time(at(event))} UTC`, event.clientX, event.clientY);
    });
    canvas.addEventListener("pointerup", () => {
      if (this.drag && !this.drag.moved) this.options.onSpan(null, null);
      this.drag = null;
    });
    canvas.addEventListener("pointercancel", () => { this.drag = null; });
    canvas.addEventListener("pointerleave", hideTip);
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  /** An edge of the span is taken hold of when near, otherwise a new span begins. */
  begin(event, t) {
    const [px] = pointerAt(this.canvas, event);
    const [from, to] = [catalogue.filter.from, catalogue.filter.to];
    for (const [edge, other] of [[from, to ?? this.full[1]], [to, from ?? this.full[0]]]) {
      if (edge !== null && Math.abs(this.axes.px(edge) - px) < 7) return { a: other, b: t, px, moved: false };
    }
    return { a: t, b: t, px, moved: false };
  }

  dragTo(t, px) {
    if (Math.abs(px - this.drag.px) > 3) this.drag.moved = true;
    this.drag.b = t;
    if (this.drag.moved) this.options.onSpan(...this.chosen());
  }

  key(event) {
    if (!this.full) return;
    const all = this.full[1] - this.full[0];
    let [from, to] = [catalogue.filter.from ?? this.full[0], catalogue.filter.to ?? this.full[1]];
    const width = to - from;
    const step = width >= all * 0.999 ? 0 : Math.max(1000, width * 0.2);
    if (event.key === "Escape") {
      this.options.onSpan(null, null);
      return;
    }
    if (event.key === "ArrowLeft") [from, to] = [from - step, to - step];
    else if (event.key === "ArrowRight") [from, to] = [from + step, to + step];
    else if (event.key === "ArrowDown") [from, to] = [from + width * 0.1, to - width * 0.1];
    else if (event.key === "ArrowUp") [from, to] = [from - width * 0.125, to + width * 0.125];
    else return;
    event.preventDefault();
    this.options.onSpan(Math.max(this.full[0], Math.round(from)), Math.min(this.full[1], Math.round(to)));
  }
}
