// Plots of one station: last hours, spectrogram, residuals, availability.

import { Axes, padded } from "./axes.js";
import { Drawing } from "./canvas.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { milliseconds } from "./format.js";
import { colour } from "./theme.js";
import { colourAt, colourTable, ticks } from "./scales.js";

class Plot {
  constructor(label) {
    this.canvas = h("canvas", { role: "img", "aria-label": label });
    this.element = h("div", { class: "plot" }, this.canvas);
    this.drawing = new Drawing(this.canvas, (context, width, height) => this.draw(context, width, height));
  }
}

/** Least and greatest value of each column, one band a channel, all to one scale. */
export class LastHours extends Plot {
  constructor(answer) {
    super(`Waveforms from ${format.time(answer.starttime)} to ${format.time(answer.endtime)} UTC`);
    this.answer = answer;
    this.range = [milliseconds(answer.starttime), milliseconds(answer.endtime)];
  }

  draw(context, width, height) {
    const { channels, unit } = this.answer;
    const each = (height - 24) / channels.length;
    // one scale for all channels, and not that of a single spike
    const sizes = channels.flatMap((c) => c.maximum.filter((v) => v !== null).map(Math.abs)).sort((a, b) => a - b);
    const peak = sizes[Math.floor(sizes.length * 0.999)] || 1;
    channels.forEach((channel, k) => {
      context.save();
      context.translate(0, k * each);
      const last = k === channels.length - 1;
      const axes = new Axes(context, width, each + (last ? 24 : 0), {
        x: this.range, y: [1.05 * peak, -1.05 * peak], timeX: true, ny: 2, margin: { left: 78, top: 3, bottom: last ? 25 : 3 },
      });
      axes.frame({ yTicks: [[0, channel.channel.split(".").at(-1)]], ...(last ? {} : { xTicks: [] }) });
      axes.clipped(() => this.curve(context, axes, channel));
      context.restore();
    });
    context.fillStyle = colour("soft");
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "left";
    context.fillText(`± ${Number(peak.toPrecision(2)).toLocaleString("en-US")} ${unit ?? ""}`, 84, 15);
  }

  curve(context, axes, channel) {
    const start = milliseconds(channel.starttime);
    const step = channel.step_s * 1000;
    context.fillStyle = colour("trace");
    for (let i = 0; i < channel.minimum.length; i += 1) {
      const [low, high] = [channel.minimum[i], channel.maximum[i]];
      if (low === null || high === null) continue;
      const top = axes.py(high);
      context.fillRect(axes.px(start + i * step), top, Math.max(0.8, axes.px(step) - axes.px(0)), Math.max(0.8, axes.py(low) - top));
    }
  }
}

/** Power against time and frequency. */
export class Spectrogram extends Plot {
  constructor(answer) {
    super(`Spectrogram of ${answer.channel}`);
    this.answer = answer;
    const all = answer.level_db.flat().filter((v) => v !== null).sort((a, b) => a - b);
    this.levels = [all[Math.floor(all.length * 0.02)] ?? 0, all[Math.floor(all.length * 0.995)] ?? 1];
  }

  picture() {
    const { level_db: rows, frequencies_hz: frequencies } = this.answer;
    const table = colourTable("power");
    const steps = table.length / 3;
    const image = new ImageData(rows.length, frequencies.length);
    const [low, high] = this.levels;
    rows.forEach((row, i) => row.forEach((value, j) => {
      if (value === null) return;
      const t = Math.max(0, Math.min(1, (value - low) / (high - low || 1)));
      const c = Math.round(t * (steps - 1)) * 3;
      const at = ((frequencies.length - 1 - j) * rows.length + i) * 4;
      for (let k = 0; k < 3; k += 1) image.data[at + k] = table[c + k];
      image.data[at + 3] = 255;
    }));
    return image;
  }

  draw(context, width, height) {
    const { starttime, step_s: step, level_db: rows, frequencies_hz: frequencies, unit } = this.answer;
    const start = milliseconds(starttime);
    const axes = new Axes(context, width, height, {
      x: [start, start + rows.length * step * 1000], y: [frequencies.at(-1), frequencies[0]], timeX: true,
      yLabel: "frequency, Hz", margin: { left: 78, bottom: 25, right: 74 },
    });
    const image = this.picture();
    const buffer = new OffscreenCanvas(image.width, image.height);
    buffer.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(buffer, axes.left, axes.top, axes.right - axes.left, axes.bottom - axes.top);
    axes.frame({ grid: false });
    this.bar(context, axes, width);
    this.words = (unit ?? "dB").replaceAll("**2", "²");
  }

  /** What the colours mean, beside the picture. */
  bar(context, axes, width) {
    const table = colourTable("power");
    const [low, high] = this.levels;
    const long = axes.bottom - axes.top;
    const y = (level) => axes.bottom - ((level - low) / (high - low || 1)) * long;
    for (let k = 0; k < long; k += 1) {
      context.fillStyle = colourAt(table, k / long);
      context.fillRect(width - 62, axes.bottom - k - 1, 12, 1.5);
    }
    context.fillStyle = colour("soft");
    context.textAlign = "left";
    for (const level of ticks(low, high, Math.max(2, long / 42))) context.fillText(`${format.number(level, 0)} dB`, width - 46, y(level) + 4);
  }
}

/** Mean and scatter of what is no outlier, of a phase, in words. */
export function residualWords(rows, phase) {
  const values = rows.filter((row) => row.phase === phase && row.weight > 0.5 && Number.isFinite(row.residual_s)).map((row) => row.residual_s);
  if (values.length < 2) return `${phase} ${values.length}`;
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const scatter = Math.sqrt(values.reduce((a, v) => a + (v - mean) ** 2, 0) / (values.length - 1));
  return `${phase} ${format.signed(mean)} ± ${format.number(scatter, 2)} s (${values.length})`;
}

/** Residuals of the picks of a station against time, P and S. */
export class Residuals extends Plot {
  constructor(rows) {
    super(`Residuals of ${rows.length} picks against time`);
    this.rows = rows;
  }

  draw(context, width, height) {
    const sizes = this.rows.map((row) => Math.abs(row.residual_s)).filter(Number.isFinite).sort((a, b) => a - b);
    const reach = Math.max(0.1, (sizes[Math.floor(sizes.length * 0.98)] ?? 1) * 1.2);
    const axes = new Axes(context, width, height, {
      x: padded(this.rows.map((row) => milliseconds(row.time)), 0.03, 1000), y: [reach, -reach], timeX: true, yLabel: "residual, s", margin: { bottom: 25, left: 62 },
    });
    axes.frame();
    axes.clipped(() => {
      context.strokeStyle = colour("soft");
      context.beginPath();
      axes.line(axes.left, axes.py(0), axes.right, axes.py(0));
      context.stroke();
      for (const row of this.rows) this.mark(context, axes, row);
    });
  }

  /** P is a dot, S a square; outliers are hollow. */
  mark(context, axes, row) {
    const x = axes.px(milliseconds(row.time));
    const y = axes.py(row.residual_s);
    const ink = colour(row.phase === "S" ? "s" : "p");
    context.beginPath();
    if (row.phase === "S") context.rect(x - 2.6, y - 2.6, 5.2, 5.2);
    else context.arc(x, y, 3, 0, 2 * Math.PI);
    context.strokeStyle = ink;
    context.fillStyle = ink;
    context.lineWidth = 1.2;
    if (row.weight > 0.5) context.fill();
    else context.stroke();
  }
}

/** When there are data. */
export class Availability extends Plot {
  constructor(answer) {
    super(`Data for ${format.number(answer.available_percent, 2)} % of the time, ${answer.n_gaps} gaps`);
    this.answer = answer;
  }

  draw(context, width, height) {
    const x = [milliseconds(this.answer.starttime), milliseconds(this.answer.endtime)];
    const axes = new Axes(context, width, height, { x, y: [0, 1], timeX: true, margin: { left: 78, top: 8, bottom: 25 } });
    axes.frame({ yTicks: [[0.5, "data"]] });
    context.fillStyle = colour("ok");
    for (const [start, end] of this.answer.spans) {
      const x0 = axes.px(milliseconds(start));
      context.fillRect(x0, axes.top + 5, Math.max(1, axes.px(milliseconds(end)) - x0), axes.bottom - axes.top - 10);
    }
  }
}
