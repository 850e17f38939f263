// Stations, ellipses and the selected event on maps.

import { haloText } from "./basemap.js";
import { ellipse } from "./projection.js";
import { colour } from "./theme.js";

/** A triangle whose fill tells the state without its colour: full, half, empty, small. */
export function stationMark(context, x, y, state, size = 6) {
  const ink = colour({ ok: "ok", late: "late", silent: "silent" }[state] ?? "unknown");
  const path = new Path2D();
  path.moveTo(x, y - size);
  path.lineTo(x + size * 0.95, y + size * 0.75);
  path.lineTo(x - size * 0.95, y + size * 0.75);
  path.closePath();
  context.lineJoin = "round";
  context.lineWidth = 3.5;
  context.strokeStyle = colour("halo");
  context.stroke(path);
  context.fillStyle = state === "silent" ? colour("panel") : ink;
  context.fill(path);
  if (state === "late") {
    context.save();
    context.clip(path);
    context.fillStyle = colour("panel");
    context.fillRect(x, y - size, size, 2 * size);
    context.restore();
  }
  context.lineWidth = 1.4;
  context.strokeStyle = ink;
  context.stroke(path);
}

export function drawStations(context, view, stations) {
  const inside = stations.map((station) => [station, ...view.project(station.longitude, station.latitude)])
    .filter(([, x, y]) => x > -10 && y > -10 && x < view.width + 10 && y < view.height + 10);
  for (const [station, x, y] of inside) stationMark(context, x, y, station.state);
  if (inside.length > 60) return;
  context.font = "11px system-ui, sans-serif";
  const taken = inside.map(([, x, y]) => [x - 7, y - 8, x + 7, y + 6]);
  for (const [station, x, y] of inside) nameStation(context, station.station.split(".")[1] ?? station.station, x, y, taken);
}

/** Write a name below, above, right or left of its mark, where nothing is yet; else not at all. */
function nameStation(context, name, x, y, taken) {
  const wide = context.measureText(name).width;
  for (const [px, py] of [[x - wide / 2, y + 17], [x - wide / 2, y - 10], [x + 9, y + 4], [x - 9 - wide, y + 4]]) {
    const box = [px - 1, py - 9, px + wide + 1, py + 2];
    if (taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
    taken.push(box);
    context.textAlign = "left";
    haloText(context, name, px, py);
    return;
  }
}

/** Regions that hold 68 % and 95 % of the epicentre. */
export function drawEllipses(context, view, event) {
  for (const [share, dash] of [["68", []], ["95", [5, 4]]]) {
    const major = event[`ellipse_${share}_major_km`];
    const minor = event[`ellipse_${share}_minor_km`];
    if (!Number.isFinite(major) || !Number.isFinite(minor)) continue;
    const ring = ellipse(event.longitude, event.latitude, major, minor, event.ellipse_azimuth_deg ?? 0);
    context.beginPath();
    for (const point of ring) context.lineTo(...view.project(...point));
    context.strokeStyle = colour("halo");
    context.lineWidth = 3.5;
    context.stroke();
    context.setLineDash(dash);
    context.strokeStyle = colour("mark");
    context.lineWidth = 1.4;
    context.stroke();
    context.setLineDash([]);
  }
}

export function drawSelection(context, view, longitude, latitude, size) {
  const [x, y] = view.project(longitude, latitude);
  for (const [ink, width] of [["halo", 5], ["accent", 2.4]]) {
    context.beginPath();
    context.arc(x, y, size + 4, 0, 2 * Math.PI);
    context.strokeStyle = colour(ink);
    context.lineWidth = width;
    context.stroke();
  }
}
