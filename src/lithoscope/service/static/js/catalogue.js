// All events of the service as columns, the filter on them, and what is selected.

import { get } from "./api.js";
import { milliseconds } from "./format.js";
import { isShown, readFilter } from "./filter.js";
import { worldX, worldY } from "./projection.js";
import { PointIndex } from "./pointindex.js";

const LIMIT = 200000;
const TEXTS = ["event_id", "magnitude_type", "event_type", "evaluation_status", "evaluation_mode"];
const NUMBERS = ["longitude", "latitude", "depth_km", "magnitude", "version"];
// More changes than this at once are read as a whole catalogue.
const MANY = 40;

/** Tells listeners: "data" (events changed), "filter" (the shown ones changed), "select". */
class Catalogue extends EventTarget {
  constructor() {
    super();
    this.clear();
    this.filter = readFilter(new URLSearchParams());
    this.selected = null;
    this.state = "loading";
    this.message = "";
    this.fresh = new Set();
    this.waiting = new Map();
  }

  clear() {
    this.n = 0;
    this.time = new Float64Array(0);
    for (const name of NUMBERS) this[name] = new Float64Array(0);
    for (const name of TEXTS) this[name] = [];
    this.x = new Float64Array(0);
    this.y = new Float64Array(0);
    this.row = new Map();
    this.shown = new Uint8Array(0);
    this.nShown = 0;
    this.index = null;
    this.ranges = new Map();
  }

  /** Read every event that is neither cancelled nor rejected. */
  async load() {
    try {
      const answer = await get("api/events", { fields: "compact", orderby: "time-asc", limit: LIMIT });
      this.set(answer ?? { columns: [], rows: [] });
      this.state = "ready";
      this.message = this.n >= LIMIT ? `Only the first ${LIMIT} events are shown.` : "";
    } catch (error) {
      this.state = "failed";
      this.message = error.message;
    }
    this.dispatchEvent(new Event("data"));
    this.dispatchEvent(new Event("filter"));
  }

  set({ columns, rows }) {
    this.clear();
    this.grow(rows.length);
    const place = Object.fromEntries(columns.map((name, i) => [name, i]));
    for (const values of rows) this.put(place, values);
    this.finish();
  }

  grow(n) {
    if (n <= this.time.length) return;
    const room = Math.max(n, Math.ceil(this.time.length * 1.5));
    for (const name of ["time", "x", "y", ...NUMBERS]) {
      const old = this[name];
      this[name] = new Float64Array(room);
      this[name].set(old);
    }
    const shown = new Uint8Array(room);
    shown.set(this.shown);
    this.shown = shown;
  }

  put(place, values) {
    const id = values[place.event_id];
    let i = this.row.get(id);
    if (i === undefined) {
      i = this.n;
      this.grow(i + 1);
      this.n += 1;
      this.row.set(id, i);
    }
    for (const name of TEXTS) this[name][i] = values[place[name]] ?? "";
    for (const name of NUMBERS) this[name][i] = values[place[name]] ?? NaN;
    this.time[i] = milliseconds(values[place.time_ms]) ?? NaN;
    this.x[i] = worldX(this.longitude[i]);
    this.y[i] = worldY(this.latitude[i]);
  }

  remove(id) {
    const i = this.row.get(id);
    if (i === undefined) return;
    const last = this.n - 1;
    for (const name of ["time", "x", "y", ...NUMBERS, ...TEXTS]) this[name][i] = this[name][last];
    for (const name of TEXTS) this[name].length = last;
    this.row.delete(id);
    if (i !== last) this.row.set(this.event_id[i], i);
    this.n = last;
    if (this.selected === id) this.select(null);
  }

  finish() {
    this.ranges.clear();
    this.index = new PointIndex(this.x, this.y, this.n);
    this.applyFilter(false);
  }

  setFilter(filter) {
    this.filter = filter;
    this.applyFilter();
  }

  applyFilter(tell = true) {
    let n = 0;
    for (let i = 0; i < this.n; i += 1) {
      const yes = isShown(this, i, this.filter) ? 1 : 0;
      this.shown[i] = yes;
      n += yes;
    }
    this.nShown = n;
    if (tell) this.dispatchEvent(new Event("filter"));
  }

  select(id) {
    if (this.selected === id) return;
    this.selected = id;
    this.dispatchEvent(new Event("select"));
  }

  /** Least and greatest finite value of a column, within the central share of all values. */
  range(name, share = 1) {
    const key = `${name}/${share}`;
    if (!this.ranges.has(key)) {
      const values = this[name].subarray(0, this.n).filter(Number.isFinite).sort();
      const cut = Math.floor(((1 - share) / 2) * (values.length - 1));
      this.ranges.set(key, values.length ? [values[cut], values[values.length - 1 - cut]] : null);
    }
    return this.ranges.get(key);
  }

  /** Take in a change that the stream announced; changes that come together are read together. */
  change(action, id) {
    if (this.waiting.size === 0) setTimeout(() => this.readChanges(), 250);
    this.waiting.set(id, action);
  }

  async readChanges() {
    const waiting = this.waiting;
    this.waiting = new Map();
    for (const id of waiting.keys()) this.fresh.add(id);
    if (waiting.size > MANY) {
      await this.load();
      return;
    }
    try {
      const answers = await Promise.all([...waiting].map(([id, action]) => readOne(id, action)));
      for (const [id, answer] of answers) {
        if (answer === null || answer.rows.length === 0) this.remove(id);
        else this.put(Object.fromEntries(answer.columns.map((name, i) => [name, i])), answer.rows[0]);
      }
    } catch (error) {
      this.message = error.message;
      for (const [id, action] of waiting) this.waiting.set(id, action);
    }
    this.finish();
    this.dispatchEvent(new Event("data"));
    this.dispatchEvent(new Event("filter"));
  }
}

async function readOne(id, action) {
  if (action === "cancel") return [id, null];
  try {
    return [id, await get("api/events", { eventid: id, fields: "compact" })];
  } catch (error) {
    if (error.status === 404) return [id, null];
    throw error;
  }
}

export const catalogue = new Catalogue();
