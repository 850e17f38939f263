// Spherical Mercator: world coordinates 0..1, x to the east and y to the south.

const TOP = 85.0511287798;
export const EARTH_KM = 6371.0;
const RADIANS = Math.PI / 180;

export const worldX = (longitude) => (longitude + 180) / 360;

export function worldY(latitude) {
  const phi = Math.max(-TOP, Math.min(TOP, latitude)) * RADIANS;
  return 0.5 - Math.log(Math.tan(Math.PI / 4 + phi / 2)) / (2 * Math.PI);
}

export const longitudeOf = (x) => x * 360 - 180;
export const latitudeOf = (y) => Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) / RADIANS;

/** Degrees of latitude and longitude for one km at a latitude. */
export function degreesPerKm(latitude) {
  const north = 1 / (EARTH_KM * RADIANS);
  return { north, east: north / Math.max(0.01, Math.cos(latitude * RADIANS)) };
}

/** East and north of a point from an origin, km, on the plane that touches the sphere there. */
export function eastNorth(longitude, latitude, origin) {
  const { north, east } = degreesPerKm(origin.latitude);
  let turn = longitude - origin.longitude;
  turn -= 360 * Math.round(turn / 360);
  return [turn / east, (latitude - origin.latitude) / north];
}

/** Ring of an ellipse (half axes in km, azimuth of the long one from north): [[lon, lat], ...]. */
export function ellipse(longitude, latitude, majorKm, minorKm, azimuthDeg, n = 72) {
  const { north, east } = degreesPerKm(latitude);
  const a = azimuthDeg * RADIANS;
  return Array.from({ length: n + 1 }, (_, i) => {
    const t = (2 * Math.PI * i) / n;
    const u = majorKm * Math.cos(t);
    const v = minorKm * Math.sin(t);
    return [longitude + (u * Math.sin(a) + v * Math.cos(a)) * east, latitude + (u * Math.cos(a) - v * Math.sin(a)) * north];
  });
}

/** The part of the world that a canvas shows: centre, and pixels per world. */
export class View {
  constructor() {
    this.x = 0.5;
    this.y = 0.5;
    this.scale = 256;
    this.width = 1;
    this.height = 1;
    this.covered = 0; // pixels at the left that something hides
  }

  toScreen(x, y) {
    return [(x - this.x) * this.scale + this.width / 2, (y - this.y) * this.scale + this.height / 2];
  }

  toWorld(px, py) {
    return [this.x + (px - this.width / 2) / this.scale, this.y + (py - this.height / 2) / this.scale];
  }

  project(longitude, latitude) {
    return this.toScreen(worldX(longitude), worldY(latitude));
  }

  /** Longitude and latitude of the middle of what can be seen. */
  middle() {
    const [x, y] = this.toWorld((this.width + this.covered) / 2, this.height / 2);
    return { longitude: longitudeOf(x), latitude: latitudeOf(y) };
  }

  /** West, south, east, north in degrees. */
  bounds() {
    const [x0, y0] = this.toWorld(0, 0);
    const [x1, y1] = this.toWorld(this.width, this.height);
    return [longitudeOf(x0), latitudeOf(Math.min(1, y1)), longitudeOf(x1), latitudeOf(Math.max(0, y0))];
  }

  /** Zoom by a factor about a point that stays where it is. */
  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this.toWorld(px, py);
    this.scale = Math.max(150, Math.min(6e7, this.scale * factor));
    this.x = x - (px - this.width / 2) / this.scale;
    this.y = y - (py - this.height / 2) / this.scale;
    this.limit();
  }

  pan(dx, dy) {
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
    this.limit();
  }

  limit() {
    this.y = Math.max(0, Math.min(1, this.y));
    this.x = Math.max(-0.5, Math.min(1.5, this.x));
  }

  /** Show a region in degrees with a margin on all sides; `least` is the smallest width in km. */
  fit([west, south, east, north], margin = 0.12, least = 20) {
    const middle = (south + north) / 2;
    const leastX = (least * degreesPerKm(middle).east) / 360;
    const x0 = worldX(west);
    const x1 = worldX(east);
    const y0 = worldY(north);
    const y1 = worldY(south);
    const room = 1 - 2 * margin;
    this.scale = Math.min(
      ((this.width - this.covered) * room) / Math.max(x1 - x0, leastX), (this.height * room) / Math.max(y1 - y0, leastX),
    );
    this.x = (x0 + x1 - this.covered / this.scale) / 2;
    this.y = (y0 + y1) / 2;
    this.zoom(1);
  }
}
