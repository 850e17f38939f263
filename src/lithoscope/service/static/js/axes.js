// Axes of the plots: a frame in data coordinates with ticks, labels and units.

import { number } from "./format.js";
import { decimals, ticks, timeTicks } from "./scales.js";
import { colour } from "./theme.js";

export class Axes {
  /**
   * `x` and `y` are [at left or top, at right or bottom]; `margin` is {left, right, top, bottom};
   * `timeX` writes UTC times below the abscissa.
   */
  constructor(context, width, height, { x, y, xLabel = "", yLabel = "", margin = {}, timeX = false, nx, ny }) {
    const m = { left: 52, right: 12, top: 10, bottom: 34, ...margin };
    Object.assign(this, { context, x, y, xLabel, yLabel, timeX });
    this.left = m.left;
    this.top = m.top;
    this.right = width - m.right;
    this.bottom = height - m.bottom;
    this.nx = nx ?? Math.max(2, (this.right - this.left) / 90);
    this.ny = ny ?? Math.max(2, (this.bottom - this.top) / 42);
  }

  px(value) {
    return this.left + ((value - this.x[0]) / (this.x[1] - this.x[0] || 1)) * (this.right - this.left);
  }

  py(value) {
    return this.top + ((value - this.y[0]) / (this.y[1] - this.y[0] || 1)) * (this.bottom - this.top);
  }

  xAt(px) {
    return this.x[0] + ((px - this.left) / (this.right - this.left)) * (this.x[1] - this.x[0]);
  }

  yAt(py) {
    return this.y[0] + ((py - this.top) / (this.bottom - this.top)) * (this.y[1] - this.y[0]);
  }

  contains(px, py) {
    return px >= this.left && px <= this.right && py >= this.top && py <= this.bottom;
  }

  frame({ grid = true, yTicks = null, xTicks = null } = {}) {
    const { context: c } = this;
    const [x0, x1] = [Math.min(...this.x), Math.max(...this.x)];
    const [y0, y1] = [Math.min(...this.y), Math.max(...this.y)];
    const xs = xTicks ?? (this.timeX ? timeTicks(x0, x1, this.nx) : labelled(ticks(x0, x1, this.nx)));
    const ys = yTicks ?? labelled(ticks(y0, y1, this.ny));
    c.strokeStyle = colour("grid");
    c.lineWidth = 1;
    c.beginPath();
    if (grid) {
      for (const [v] of xs) this.line(this.px(v), this.top, this.px(v), this.bottom);
      for (const [v] of ys) this.line(this.left, this.py(v), this.right, this.py(v));
    }
    c.stroke();
    c.strokeStyle = colour("rule");
    c.strokeRect(this.left + 0.5, this.top + 0.5, this.right - this.left - 1, this.bottom - this.top - 1);
    this.labels(xs, ys);
  }

  labels(xs, ys) {
    const { context: c } = this;
    c.fillStyle = colour("soft");
    c.font = "11px system-ui, sans-serif";
    c.textAlign = "center";
    let free = -Infinity;
    for (const [v, text] of xs) {
      const half = c.measureText(text).width / 2;
      const x = Math.max(half + 2, Math.min(this.right + 8 - half, this.px(v)));
      if (x - half < free) continue;
      c.fillText(text, x, this.bottom + 14);
      free = x + half + 8;
    }
    c.textAlign = "right";
    for (const [v, text] of ys) c.fillText(text, this.left - 6, this.py(v) + 4);
    c.textAlign = "center";
    if (this.xLabel) c.fillText(this.xLabel, (this.left + this.right) / 2, this.bottom + 29);
    if (this.yLabel) {
      c.save();
      c.translate(13, (this.top + this.bottom) / 2);
      c.rotate(-Math.PI / 2);
      c.fillText(this.yLabel, 0, 0);
      c.restore();
    }
  }

  line(x0, y0, x1, y1) {
    this.context.moveTo(x0, y0);
    this.context.lineTo(x1, y1);
  }

  /** Draw only inside the frame. */
  clipped(draw) {
    this.context.save();
    this.context.beginPath();
    this.context.rect(this.left, this.top, this.right - this.left, this.bottom - this.top);
    this.context.clip();
    draw(this.context);
    this.context.restore();
  }
}

function labelled(values) {
  const digits = decimals(values);
  return values.map((v) => [v, number(v, digits)]);
}

/** Range of finite values, widened by a share of itself, never empty. */
export function padded(values, share = 0.06, least = 1e-6) {
  let [low, high] = [Infinity, -Infinity];
  for (const v of values) {
    if (!Number.isFinite(v)) continue;
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  if (low > high) return [0, 1];
  const room = Math.max((high - low) * share, least);
  return [low - room, high + room];
}
