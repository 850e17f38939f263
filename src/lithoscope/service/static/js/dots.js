// Many small dots on a plot, written as pixels: a hundred thousand take a few milliseconds.

import { pixelRatio } from "./canvas.js";
import { colourTable, STEPS } from "./scales.js";

/**
 * `x` and `y` are CSS pixels of the plot, NaN where there is no dot; `value` is 0..1 on the colour
 * scale and negative for a dot that the filter hides: drawn in the colour `hidden` below the others,
 * or not at all where `hidden` is null.
 */
export function drawDots(context, { x, y, value, kind, hidden, size, width, height }) {
  const ratio = pixelRatio();
  const [w, h] = [Math.ceil(width * ratio), Math.ceil(height * ratio)];
  if (w < 1 || h < 1) return;
  const image = new ImageData(w, h);
  const pixels = new Uint32Array(image.data.buffer);
  const side = Math.max(1, Math.round(size * ratio));
  const paint = (i, ink) => {
    const left = Math.round(x[i] * ratio - side / 2);
    const top = Math.round(y[i] * ratio - side / 2);
    if (!(left >= 0 && top >= 0 && left + side <= w && top + side <= h)) return;
    for (let v = 0; v < side; v += 1) pixels.fill(ink, (top + v) * w + left, (top + v) * w + left + side);
  };
  if (hidden !== null) {
    const ink = packed(hidden);
    for (let i = 0; i < value.length; i += 1) if (value[i] < 0) paint(i, ink);
  }
  const inks = packedTable(colourTable(kind));
  for (let i = 0; i < value.length; i += 1) {
    if (value[i] >= 0) paint(i, inks[Math.min(STEPS - 1, Math.round(value[i] * (STEPS - 1)))]);
  }
  const buffer = new OffscreenCanvas(w, h);
  buffer.getContext("2d").putImageData(image, 0, 0);
  context.drawImage(buffer, 0, 0, w / ratio, h / ratio);
}

/** A colour as one little-endian word: alpha, blue, green, red. */
function word(red, green, blue) {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

function packed(hex) {
  const value = parseInt(hex.slice(1), 16);
  return word((value >> 16) & 255, (value >> 8) & 255, value & 255);
}

function packedTable(table) {
  return Uint32Array.from({ length: STEPS }, (_, k) => word(table[3 * k], table[3 * k + 1], table[3 * k + 2]));
}
