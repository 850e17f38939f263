// Sea, land, lakes, borders and graticule below the events.

import { get } from "./api.js";
import { decimals, ticks } from "./scales.js";
import { colour } from "./theme.js";
import { latitude, longitude } from "./format.js";
import { latitudeOf, worldX, worldY } from "./projection.js";

/** Coastlines around what a view shows; asks again when the view leaves what it has. */
export class Coastlines {
  constructor(changed) {
    this.changed = changed;
    this.has = null;
    this.asking = false;
    this.shapes = { polygons: [], lines: [] };
    this.source = "";
    this.reason = "";
  }

  need(view) {
    const [west, south, east, north] = view.bounds();
    const size = Math.max(east - west, north - south);
    const covered = this.has && west >= this.has.box[0] && south >= this.has.box[1] && east <= this.has.box[2]
      && north <= this.has.box[3] && size > this.has.size / 8;
    if (covered || this.asking || this.reason) return;
    const room = Math.min(90, size / 2);
    const box = [
      Math.max(-350, Math.floor(west - room)), Math.max(-90, Math.floor(south - room)),
      Math.min(350, Math.ceil(east + room)), Math.min(90, Math.ceil(north + room)),
    ];
    this.ask(box, size);
  }

  async ask(box, size) {
    this.asking = true;
    const [west, south, east, north] = box;
    try {
      const answer = await get("api/coastlines", { west, south, east, north });
      this.shapes = {
        polygons: answer.polygons.map((item) => ({ level: item.level, world: toWorld(item.points) })),
        lines: answer.lines.map((item) => ({ kind: item.kind, world: toWorld(item.points) })),
      };
      this.source = answer.source;
      this.reason = answer.reason ?? "";
      this.has = { box, size };
    } catch (error) {
      this.reason = error.status === 0 ? "" : error.message;
      this.has = { box, size };
    }
    this.asking = false;
    this.changed();
  }
}

function toWorld(points) {
  const out = new Float64Array(points.length);
  for (let i = 0; i < points.length; i += 2) {
    out[i] = worldX(points[i]);
    out[i + 1] = worldY(points[i + 1]);
  }
  return out;
}

function trace(context, view, world, close) {
  const left = view.x - view.width / 2 / view.scale;
  const top = view.y - view.height / 2 / view.scale;
  context.moveTo((world[0] - left) * view.scale, (world[1] - top) * view.scale);
  for (let i = 2; i < world.length; i += 2) {
    context.lineTo((world[i] - left) * view.scale, (world[i + 1] - top) * view.scale);
  }
  if (close) context.closePath();
}

const FILLS = { 1: "land", 2: "lake", 3: "land", 4: "lake" };

export function drawBase(context, view, coast) {
  // without coastlines nothing says what is sea
  context.fillStyle = colour(coast.has && !coast.reason ? "sea" : "land");
  context.fillRect(0, 0, view.width, view.height);
  for (const level of [1, 2, 3, 4]) {
    context.beginPath();
    for (const item of coast.shapes.polygons) if (item.level === level) trace(context, view, item.world, true);
    context.fillStyle = colour(FILLS[level]);
    context.fill();
    context.strokeStyle = colour("coast");
    context.lineWidth = level === 1 ? 1 : 0.6;
    context.stroke();
  }
  for (const [kind, dash] of [["state", [3, 3]], ["country", []]]) {
    context.beginPath();
    for (const item of coast.shapes.lines) if (item.kind === kind) trace(context, view, item.world, false);
    context.setLineDash(dash);
    context.strokeStyle = colour("border");
    context.lineWidth = 1;
    context.stroke();
  }
  context.setLineDash([]);
  drawGraticule(context, view);
}

function drawGraticule(context, view) {
  const [west, , east] = view.bounds();
  const meridians = ticks(west, east, Math.max(2, view.width / 130));
  const step = meridians.length > 1 ? meridians[1] - meridians[0] : 1;
  const digits = decimals(meridians);
  const parallels = [];
  const [, top] = view.toWorld(0, 0);
  const [, bottom] = view.toWorld(0, view.height);
  const [south, north] = [latitudeOf(Math.min(1, bottom)), latitudeOf(Math.max(0, top))];
  for (let v = Math.ceil(south / step) * step; v <= north; v += step) parallels.push(v);
  context.strokeStyle = colour("graticule");
  context.lineWidth = 0.7;
  context.beginPath();
  for (const v of meridians) {
    const [x] = view.project(v, 0);
    context.moveTo(x, 0);
    context.lineTo(x, view.height);
  }
  for (const v of parallels) {
    const [, y] = view.project(0, v);
    context.moveTo(0, y);
    context.lineTo(view.width, y);
  }
  context.stroke();
  context.fillStyle = colour("soft");
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  for (const v of meridians) {
    const [x] = view.project(v, 0);
    if (x > 30 && x < view.width - 60) haloText(context, longitude(v, digits), x, 13);
  }
  context.textAlign = "right";
  for (const v of parallels) {
    const [, y] = view.project(0, v);
    if (y > 190 && y < view.height - 30) haloText(context, latitude(v, digits), view.width - 5, y - 3);
  }
}

export function haloText(context, text, x, y, ink = colour("soft")) {
  context.lineJoin = "round";
  context.lineWidth = 3;
  context.strokeStyle = colour("halo");
  context.strokeText(text, x, y);
  context.fillStyle = ink;
  context.fillText(text, x, y);
}

/** A bar of a round length in km, right for the middle of the view. */
export function drawScaleBar(context, view, x, y) {
  const phi = latitudeOf(view.y) * (Math.PI / 180);
  const kmPerPixel = (2 * Math.PI * 6371 * Math.cos(phi)) / view.scale;
  const most = kmPerPixel * 110;
  const power = 10 ** Math.floor(Math.log10(most));
  const km = [5, 2, 1].map((m) => m * power).find((v) => v <= most);
  const long = km / kmPerPixel;
  context.strokeStyle = colour("halo");
  context.lineWidth = 4;
  bar(context, x - long, x, y);
  context.strokeStyle = colour("ink");
  context.lineWidth = 1.4;
  bar(context, x - long, x, y);
  context.textAlign = "right";
  context.font = "11px system-ui, sans-serif";
  haloText(context, km >= 1 ? `${km} km` : `${Math.round(km * 1000)} m`, x, y - 7, colour("ink"));
}

function bar(context, x0, x1, y) {
  context.beginPath();
  context.moveTo(x0, y - 4);
  context.lineTo(x0, y);
  context.lineTo(x1, y);
  context.lineTo(x1, y - 4);
  context.stroke();
}
