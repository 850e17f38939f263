// What sizes, colours and triangles mean.

import { Drawing } from "./canvas.js";
import { catalogue } from "./catalogue.js";
import { fill, h } from "./dom.js";
import * as format from "./format.js";
import { stationMark } from "./marks.js";
import { colourAt, colourTable, decimals, radius, ticks } from "./scales.js";
import { STATE_WORDS } from "./stations.js";
import { colour } from "./theme.js";


export class Legend {
  constructor(options) {
    this.options = options;
    this.colour = h("select", { id: "legend-colour", on: { change: () => options.onColour(this.colour.value) } },
      h("option", { value: "depth" }, "depth"), h("option", { value: "time" }, "origin time"));
    this.canvas = h("canvas", { "aria-hidden": "true" });
    const box = h("div", { class: "legend-plot" }, this.canvas);
    this.keys = h("div", { class: "keys" });
    this.words = h("p", { class: "vh" });
    this.element = h("details", { class: "legend", open: innerWidth > 720 }, h("summary", {}, "Legend"),
      h("div", {}, h("label", { for: "legend-colour", class: "soft" }, "Colour by "), this.colour), box, this.words, this.keys);
    this.drawing = new Drawing(this.canvas, (context, width) => this.draw(context, width));
  }

  update() {
    const { kind, range } = this.options.colouring();
    this.colour.value = kind;
    this.words.textContent = kind === "depth"
      ? `Colour: depth from ${format.number(range[0])} to ${format.number(range[1])} km. Size: magnitude.`
      : `Colour: time from ${format.time(range[0])} to ${format.time(range[1])} UTC. Size: magnitude.`;
    const states = new Set(this.options.stations().map((station) => station.state ?? "unknown"));
    fill(this.keys, Object.entries(STATE_WORDS).filter(([state]) => states.has(state)).map(([state, text]) => h("span", {}, marker(state), ` station, ${text}`)));
    this.drawing.ask();
  }

  draw(context, width) {
    const { kind, range } = this.options.colouring();
    const table = colourTable(kind);
    const [left, right] = [8, width - 8];
    for (let x = left; x < right; x += 1) {
      context.fillStyle = colourAt(table, (x - left) / (right - left));
      context.fillRect(x, 16, 1.5, 9);
    }
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = colour("soft");
    context.textAlign = "left";
    context.fillText(kind === "depth" ? "km below sea level" : "UTC", left, 11);
    const marks = kind === "depth" ? ticks(range[0], range[1], 4) : [range[0], range[1]];
    const digits = decimals(marks);
    marks.forEach((v, k) => {
      const x = left + ((v - range[0]) / (range[1] - range[0] || 1)) * (right - left);
      context.textAlign = kind === "depth" ? "center" : ["left", "right"][k];
      context.fillText(kind === "depth" ? format.number(v, digits) : format.time(v).slice(0, 16), x, 37);
    });
    this.sizes(context, left);
  }

  sizes(context, left) {
    const most = catalogue.range("magnitude")?.[1] ?? 4;
    const shown = ticks(0, Math.max(3, Math.min(8, Math.ceil(most))), 5).filter(Number.isInteger);
    let x = left;
    for (const m of shown) {
      const r = radius(m);
      if (x + 2 * r + 28 > 250) break;
      context.beginPath();
      context.arc(x + r, 60, r, 0, 2 * Math.PI);
      context.strokeStyle = colour("soft");
      context.lineWidth = 1.2;
      context.stroke();
      context.textAlign = "left";
      context.fillText(`M ${m}`, x + 2 * r + 3, 64);
      x += 2 * r + 36;
    }
  }
}

function marker(state) {
  const canvas = h("canvas", { class: "inline", width: "28", height: "28", "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  context.scale(2, 2);
  stationMark(context, 7, 7.5, state, 5);
  return canvas;
}
