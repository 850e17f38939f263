// Colours and sizes of events.

import { isDark } from "./theme.js";

// matplotlib's viridis and plasma (CC0) at 16 steps: perceptually uniform and told apart by readers
// with any colour vision.
const TABLES = {
  depth: "440154 481a6c 472f7d 414487 39568c 31688e 2a788e 23888e 1f988b 22a884 35b779 54c568 7ad151 a5db36 d2e21b fde725",
  time: "0d0887 330597 5002a2 6a00a8 8405a7 9c179e b12a90 c33d80 d35171 e16462 ed7953 f68f44 fca636 fec029 f9dc24 f0f921",
};
// Pictures have no background to vanish on: all of plasma, loud is bright.
TABLES.power = TABLES.time;
// The end that would vanish on the background is left out.
const USED = { light: [0, 0.84], dark: [0.2, 1] };
export const STEPS = 64;
const tables = new Map();

/** Colours of a scale, shallow or early first: Uint8Array of STEPS RGB triples for this theme. */
export function colourTable(kind) {
  const key = `${kind}/${isDark()}`;
  if (!tables.has(key)) tables.set(key, build(kind));
  return tables.get(key);
}

function build(kind) {
  const anchors = TABLES[kind].split(" ").map((text) => [0, 2, 4].map((i) => parseInt(text.slice(i, i + 2), 16)));
  const [low, high] = kind === "power" ? [0, 1] : USED[isDark() ? "dark" : "light"];
  const out = new Uint8Array(STEPS * 3);
  for (let i = 0; i < STEPS; i += 1) {
    let t = i / (STEPS - 1);
    // shallow and recent events stand out from the background
    if (kind !== "power" && (kind === "depth") === isDark()) t = 1 - t;
    const at = (low + t * (high - low)) * (anchors.length - 1);
    const j = Math.min(Math.floor(at), anchors.length - 2);
    for (let c = 0; c < 3; c += 1) out[i * 3 + c] = anchors[j][c] + (at - j) * (anchors[j + 1][c] - anchors[j][c]);
  }
  return out;
}

export function colourAt(table, t) {
  const i = Math.max(0, Math.min(STEPS - 1, Math.round(t * (STEPS - 1)))) * 3;
  return `rgb(${table[i]} ${table[i + 1]} ${table[i + 2]})`;
}

/** Radius of an event in CSS pixels; growth by 1.45 a magnitude, small ones stay visible. */
export function radius(magnitude) {
  if (!Number.isFinite(magnitude)) return 2.6;
  return Math.max(1.7, Math.min(26, 2.3 * 1.45 ** (magnitude - 1)));
}

/** About n round values between two limits. */
export function ticks(low, high, n = 5) {
  const width = high - low;
  if (!(width > 0)) return [low];
  const raw = width / Math.max(1, n);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * (1 - 1e-9));
  const found = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) found.push(Math.abs(v) < step * 1e-9 ? 0 : v);
  return found;
}

/** Decimals that tell neighbouring ticks apart. */
export function decimals(values) {
  if (values.length < 2) return Number.isInteger(values[0]) ? 0 : 1;
  return Math.max(0, Math.ceil(-Math.log10(Math.abs(values[1] - values[0])) - 1e-9));
}

const SECOND = 1000;
const TIME_STEPS = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
  172800, 432000, 864000, 2592000, 7776000, 15552000, 31536000, 63072000, 157680000, 315360000,
].map((s) => s * SECOND);

/** Ticks of a time axis: [[ms, label], ...] and what the labels leave out. */
export function timeTicks(low, high, n = 6) {
  const step = TIME_STEPS.find((s) => s >= (high - low) / Math.max(1, n)) ?? TIME_STEPS.at(-1);
  const found = [];
  for (let t = Math.ceil(low / step) * step; t <= high; t += step) {
    const text = new Date(t).toISOString();
    let label = text.slice(0, 10);
    if (step < SECOND) label = text.slice(11, 21);
    else if (step < 60 * SECOND) label = text.slice(11, 19);
    else if (step < 86400 * SECOND) label = t % (86400 * SECOND) === 0 ? text.slice(5, 10) : text.slice(11, 16);
    found.push([t, label]);
  }
  // labels of the day's hours say which day it is, once
  if (found.length && step < 86400 * SECOND) found[0][1] = `${new Date(found[0][0]).toISOString().slice(0, 10)} ${found[0][1]}`.replace(/ \d\d-\d\d$/, " 00:00");
  return found;
}
