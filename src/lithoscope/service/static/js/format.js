// Numbers, times and uncertainties as text: units everywhere, UTC, a true minus sign.

const NONE = "–";
const known = (value) => typeof value === "number" && Number.isFinite(value);

export function number(value, digits = 1) {
  if (!known(value)) return NONE;
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

export function withUnit(value, digits, unit) {
  return known(value) ? `${number(value, digits)} ${unit}` : NONE;
}

export function count(value) {
  return known(value) ? value.toLocaleString("en-US").replaceAll(",", " ") : NONE;
}

/** Milliseconds since 1970 of a number or of ISO text; null when there is none. */
export function milliseconds(value) {
  if (value === null || value === undefined || value === "") return null;
  if (typeof value === "number") return value;
  const found = Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(value) ? value : `${value}Z`);
  return Number.isNaN(found) ? null : found;
}

/** "2019-07-04 17:02:55.2" with `digits` of the second. */
export function time(value, digits = 0) {
  const ms = milliseconds(value);
  if (ms === null) return NONE;
  const step = 1000 / 10 ** digits;
  const iso = new Date(Math.round(ms / step) * step).toISOString();
  const end = digits ? 20 + digits : 19;
  return `${iso.slice(0, 10)} ${iso.slice(11, end)}`;
}

export function clock(value, digits = 0) {
  const text = time(value, digits);
  return text === NONE ? NONE : text.slice(11);
}

/** ISO text for the service: seconds or milliseconds, ending in Z. */
export function iso(ms) {
  return new Date(ms).toISOString();
}

export function latitude(value, digits = 3) {
  return known(value) ? `${number(Math.abs(value), digits)}° ${value < 0 ? "S" : "N"}` : NONE;
}

export function longitude(value, digits = 3) {
  if (!known(value)) return NONE;
  const turned = ((((value + 180) % 360) + 360) % 360) - 180;
  return `${number(Math.abs(turned), digits)}° ${turned < 0 ? "W" : "E"}`;
}

/** A span of seconds in the unit a reader would choose. */
export function span(seconds) {
  if (!known(seconds)) return NONE;
  const size = Math.abs(seconds);
  if (size < 1) return `${number(seconds * 1000, 0)} ms`;
  if (size < 90) return `${number(seconds, size < 10 ? 1 : 0)} s`;
  if (size < 5400) return `${number(seconds / 60, 0)} min`;
  if (size < 172800) return `${number(seconds / 3600, 1)} h`;
  return `${number(seconds / 86400, 1)} d`;
}

export function magnitude(value, type = "") {
  return known(value) ? `${type ? `${type} ` : ""}${number(value, 1)}` : "no magnitude";
}

export function signed(value, digits = 2) {
  if (!known(value)) return NONE;
  return `${value > 0 && Number(value.toFixed(digits)) !== 0 ? "+" : ""}${number(value, digits)}`;
}

/** What the solution says about itself, in sentences. */
export function uncertaintyInWords(event) {
  const sentences = [];
  if (known(event.ellipse_68_major_km) && known(event.ellipse_68_minor_km)) {
    const long = 2 * event.ellipse_68_major_km;
    const wide = 2 * event.ellipse_68_minor_km;
    const along = known(event.ellipse_azimuth_deg) ? `, long side towards ${number(event.ellipse_azimuth_deg % 180, 0)}° from north` : "";
    sentences.push(`The epicentre lies in a region of ${number(long)} × ${number(wide)} km with 68 % probability${along}.`);
  }
  if (known(event.depth_68_low_km) && known(event.depth_68_high_km)) {
    sentences.push(`Depth ${number(event.depth_km)} km below sea level; between ${number(event.depth_68_low_km)} and ${number(event.depth_68_high_km)} km with 68 % probability (± ${number(event.depth_sigma_km)} km, 1 sigma).`);
  } else if (known(event.depth_sigma_km)) {
    sentences.push(`Depth ${number(event.depth_km)} ± ${number(event.depth_sigma_km)} km below sea level (1 sigma).`);
  }
  if (known(event.time_sigma_s)) sentences.push(`Origin time ± ${number(event.time_sigma_s, 2)} s (1 sigma).`);
  sentences.push(magnitudeInWords(event));
  if (event.ambiguous) sentences.push("Ambiguous: the picks allow more than one place, or a region wider than the network.");
  return sentences;
}

function magnitudeInWords(event) {
  if (!known(event.magnitude)) return `No magnitude${event.magnitude_reason ? `: ${event.magnitude_reason}` : ""}.`;
  const sigma = known(event.magnitude_sigma) ? ` ± ${number(event.magnitude_sigma, 2)} (1 sigma)` : "";
  const n = event.n_magnitudes;
  const from = n ? ` from ${n} ${n === 1 ? "station" : "stations"}` : "";
  return `${event.magnitude_type || "Magnitude"} ${number(event.magnitude, 2)}${sigma}${from}.`;
}
