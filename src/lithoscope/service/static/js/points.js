// Draws many circles: with WebGL 2 where there is one, otherwise into the pixels of a 2-D canvas.

const VERTEX = `#version 300 es
in vec2 place; in float size; in float value; in float shown;
uniform vec2 shift; uniform vec2 scale; uniform float ratio; uniform sampler2D table;
out vec4 colour; out float radius;
void main() {
  radius = size * ratio;
  gl_Position = shown > 0.5 ? vec4((place + shift) * scale, 0.0, 1.0) : vec4(2.0, 2.0, 2.0, 1.0);
  gl_PointSize = 2.0 * radius + 3.0;
  colour = texture(table, vec2(value * 0.984375 + 0.0078125, 0.5));
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 colour; in float radius; uniform vec3 rim; out vec4 pixel;
void main() {
  float d = length(gl_PointCoord - 0.5) * (2.0 * radius + 3.0);
  float cover = clamp(radius + 0.5 - d, 0.0, 1.0);
  if (cover <= 0.0) discard;
  float edge = clamp(d - radius + 1.5, 0.0, 1.0) * clamp(radius * 0.35 - 0.5, 0.0, 0.75);
  float alpha = cover * 0.86;
  pixel = vec4(mix(colour.rgb, rim, edge) * alpha, alpha);
}`;

/** A layer for `canvas`; `kind` says which way it draws: "webgl" or "pixels". */
export function pointLayer(canvas, force = null) {
  if (force !== "pixels" && (force === "webgl" || hasGraphicsProcessor())) {
    const gl = canvas.getContext("webgl2", { premultipliedAlpha: true, antialias: false });
    if (gl) return new WebGlPoints(canvas, gl);
  }
  return new PixelPoints(canvas);
}

/** WebGL that runs on the processor is slower than writing pixels. */
function hasGraphicsProcessor() {
  const gl = document.createElement("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  if (!gl) return false;
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return !/swiftshader|llvmpipe|software|basic render/i.test(name);
}

function shader(gl, type, text) {
  const made = gl.createShader(type);
  gl.shaderSource(made, text);
  gl.compileShader(made);
  return made;
}

class WebGlPoints {
  constructor(canvas, gl) {
    this.kind = "webgl";
    this.canvas = canvas;
    this.gl = gl;
    this.n = 0;
    this.data = null;
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.prepare();
      if (this.data) this.set(this.data);
      canvas.dispatchEvent(new Event("redraw"));
    });
    this.prepare();
  }

  prepare() {
    const { gl } = this;
    this.program = gl.createProgram();
    gl.attachShader(this.program, shader(gl, gl.VERTEX_SHADER, VERTEX));
    gl.attachShader(this.program, shader(gl, gl.FRAGMENT_SHADER, FRAGMENT));
    gl.linkProgram(this.program);
    gl.useProgram(this.program);
    this.buffers = Object.fromEntries(["place", "size", "value", "shown"].map((name) => {
      const buffer = gl.createBuffer();
      const at = gl.getAttribLocation(this.program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.enableVertexAttribArray(at);
      gl.vertexAttribPointer(at, name === "place" ? 2 : 1, name === "shown" ? gl.UNSIGNED_BYTE : gl.FLOAT, false, 0, 0);
      return [name, buffer];
    }));
    this.texture = gl.createTexture();
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  fill(name, values) {
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.buffers[name]);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, values, this.gl.DYNAMIC_DRAW);
  }

  /** x, y in world units (float64), size in CSS pixels, value 0..1, shown 0/1, table of colours. */
  set(data) {
    const { gl } = this;
    this.data = data;
    this.n = data.size.length;
    // world coordinates need more than float32 holds: they are kept relative to a centre
    this.centre = [mean(data.x, this.n), mean(data.y, this.n)];
    const place = new Float32Array(this.n * 2);
    for (let i = 0; i < this.n; i += 1) {
      place[2 * i] = data.x[i] - this.centre[0];
      place[2 * i + 1] = data.y[i] - this.centre[1];
    }
    this.fill("place", place);
    this.fill("size", data.size);
    this.fill("value", data.value);
    this.fill("shown", data.shown);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, data.table.length / 3, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, data.table);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  }

  setShown(shown) {
    if (!this.data) return;
    this.data.shown = shown;
    this.fill("shown", shown);
  }

  draw(view, ratio, rim) {
    const { gl, program } = this;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (this.n === 0) return;
    gl.uniform2f(gl.getUniformLocation(program, "shift"), this.centre[0] - view.x, this.centre[1] - view.y);
    gl.uniform2f(gl.getUniformLocation(program, "scale"), (2 * view.scale) / view.width, (-2 * view.scale) / view.height);
    gl.uniform1f(gl.getUniformLocation(program, "ratio"), ratio);
    gl.uniform3f(gl.getUniformLocation(program, "rim"), rim[0] / 255, rim[1] / 255, rim[2] / 255);
    gl.drawArrays(gl.POINTS, 0, this.n);
  }
}

function mean(values, n) {
  let sum = 0;
  for (let i = 0; i < n; i += 1) sum += values[i];
  return n ? sum / n : 0;
}

/**
 * The same circles written into an ImageData. They are laid down from the topmost to the lowest, each
 * below what is there already, so that a pixel that is full costs no more than a look.
 */
class PixelPoints {
  constructor(canvas) {
    this.kind = "pixels";
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.n = 0;
    this.stamps = new Map();
  }

  set(data) {
    this.data = data;
    this.n = data.size.length;
    this.tint = Uint8Array.from(data.value, (t) => Math.round(Math.max(0, Math.min(1, t)) * (data.table.length / 3 - 1)));
  }

  setShown(shown) {
    if (this.data) this.data.shown = shown;
  }

  draw(view, ratio, rim) {
    const { width, height } = this.canvas;
    if (!this.image || this.image.width !== width || this.image.height !== height) {
      this.image = this.context.createImageData(width, height);
      this.stamps.clear();
    }
    const pixels = this.image.data;
    pixels.fill(0);
    if (this.n) this.stampAll(pixels, width, height, view, ratio, rim);
    unmultiply(pixels);
    this.context.putImageData(this.image, 0, 0);
  }

  stampAll(pixels, width, height, view, ratio, rim) {
    const { x, y, size, shown, table } = this.data;
    const scale = view.scale * ratio;
    const [x0, y0] = view.toWorld(0, 0);
    for (let i = this.n - 1; i >= 0; i -= 1) {
      if (!shown[i]) continue;
      const px = Math.floor((x[i] - x0) * scale);
      const py = Math.floor((y[i] - y0) * scale);
      const key = Math.round(size[i] * ratio * 4);
      const half = (key >> 2) + 2;
      if (!(px > -half && py > -half && px < width + half && py < height + half)) continue;
      const stamp = this.stamps.get(key) ?? this.stamp(key, width);
      const c = this.tint[i] * 3;
      const inside = px >= half && py >= half && px < width - half && py < height - half;
      press(pixels, width, height, px, py, inside, stamp, table[c], table[c + 1], table[c + 2], rim);
    }
  }

  /** The pixels of a circle: where they are, how much of each it covers, how much of that is rim. */
  stamp(key, width) {
    const r = key / 4;
    const half = Math.ceil(r + 0.5);
    const found = [];
    for (let v = -half; v <= half; v += 1) {
      for (let u = -half; u <= half; u += 1) {
        const d = Math.hypot(u, v);
        const cover = 0.86 * Math.max(0, Math.min(1, r + 0.5 - d));
        const edge = Math.max(0, Math.min(1, d - r + 1.5)) * Math.max(0, Math.min(0.75, r * 0.35 - 0.5));
        if (cover > 0) found.push([u, v, cover, edge]);
      }
    }
    const made = {
      n: found.length, offset: Int32Array.from(found, ([u, v]) => 4 * (v * width + u)),
      du: Int8Array.from(found, (p) => p[0]), dv: Int8Array.from(found, (p) => p[1]),
      cover: Float32Array.from(found, (p) => p[2]), edge: Float32Array.from(found, (p) => p[3]),
    };
    this.stamps.set(key, made);
    return made;
  }
}

/** Lay one circle below what is there; `pixels` hold colours times their alpha. */
function press(pixels, width, height, px, py, inside, stamp, red, green, blue, rim) {
  const { n, offset, du, dv, cover, edge } = stamp;
  const centre = 4 * (py * width + px);
  for (let k = 0; k < n; k += 1) {
    if (!inside) {
      const [u, v] = [px + du[k], py + dv[k]];
      if (u < 0 || v < 0 || u >= width || v >= height) continue;
    }
    const at = centre + offset[k];
    const room = 255 - pixels[at + 3];
    if (room < 6) continue;
    const alpha = cover[k] * room;
    const part = alpha / 255;
    const e = edge[k];
    pixels[at] += part * (red + e * (rim[0] - red));
    pixels[at + 1] += part * (green + e * (rim[1] - green));
    pixels[at + 2] += part * (blue + e * (rim[2] - blue));
    pixels[at + 3] += alpha;
  }
}

function unmultiply(pixels) {
  for (let at = 3; at < pixels.length; at += 4) {
    const alpha = pixels[at];
    if (alpha === 0 || alpha > 249) continue;
    const factor = 255 / alpha;
    pixels[at - 3] *= factor;
    pixels[at - 2] *= factor;
    pixels[at - 1] *= factor;
  }
}
