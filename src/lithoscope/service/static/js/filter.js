// What is shown: read from and written to the address, so that a view can be sent to someone.

import { milliseconds } from "./format.js";

const LIMITS = [
  ["minmag", "magnitude"], ["maxmag", "magnitude"], ["mindepth", "depth_km"], ["maxdepth", "depth_km"],
];

/** Filter of a URLSearchParams; limits that are not set are null. */
export function readFilter(params) {
  const filter = {
    from: milliseconds(params.get("from")), to: milliseconds(params.get("to")),
    status: params.get("status") ?? "", q: (params.get("q") ?? "").trim().toLowerCase(),
    box: readBox(params.get("box")),
  };
  for (const [name] of LIMITS) {
    const value = Number.parseFloat(params.get(name) ?? "");
    filter[name] = Number.isFinite(value) ? value : null;
  }
  return filter;
}

function readBox(text) {
  const values = (text ?? "").split(",").map(Number);
  return values.length === 4 && values.every(Number.isFinite) ? values : null;
}

/** Query of an address from a filter. */
export function writeFilter(filter) {
  const params = new URLSearchParams();
  for (const name of ["from", "to"]) {
    if (filter[name] !== null) params.set(name, new Date(filter[name]).toISOString());
  }
  for (const [name] of LIMITS) if (filter[name] !== null) params.set(name, String(filter[name]));
  if (filter.status) params.set("status", filter.status);
  if (filter.q) params.set("q", filter.q);
  if (filter.box) params.set("box", filter.box.join(","));
  return params;
}

/** The filter in the words of the event service, for downloads. */
export function serviceQuery(filter) {
  const query = {
    minmagnitude: filter.minmag, maxmagnitude: filter.maxmag,
    mindepth: filter.mindepth, maxdepth: filter.maxdepth,
  };
  if (filter.from !== null) query.starttime = new Date(filter.from).toISOString();
  if (filter.to !== null) query.endtime = new Date(filter.to).toISOString();
  if (filter.box) {
    [query.minlongitude, query.minlatitude, query.maxlongitude, query.maxlatitude] = filter.box;
  }
  return query;
}

export function isShown(catalogue, i, filter) {
  const t = catalogue.time[i];
  if (filter.from !== null && !(t >= filter.from)) return false;
  if (filter.to !== null && !(t <= filter.to)) return false;
  const m = catalogue.magnitude[i];
  if (filter.minmag !== null && !(m >= filter.minmag)) return false;
  if (filter.maxmag !== null && !(m <= filter.maxmag)) return false;
  const z = catalogue.depth_km[i];
  if (filter.mindepth !== null && !(z >= filter.mindepth)) return false;
  if (filter.maxdepth !== null && !(z <= filter.maxdepth)) return false;
  if (filter.status && catalogue.evaluation_status[i] !== filter.status) return false;
  if (filter.q && !catalogue.event_id[i].toLowerCase().includes(filter.q)
    && !catalogue.event_type[i].toLowerCase().includes(filter.q)) return false;
  if (filter.box) {
    const [west, south, east, north] = filter.box;
    const lon = catalogue.longitude[i];
    const lat = catalogue.latitude[i];
    if (!(lon >= west && lon <= east && lat >= south && lat <= north)) return false;
  }
  return true;
}
