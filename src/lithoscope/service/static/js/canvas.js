// Canvases that fit their box at the screen's resolution, and redraw once a frame when asked.

/** Keep a canvas at the size of its parent and call `draw(context, width, height)` in CSS pixels. */
export class Drawing {
  constructor(canvas, draw) {
    this.canvas = canvas;
    this.drawNow = draw;
    this.asked = false;
    this.alive = true;
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(canvas.parentElement ?? canvas);
    this.onTheme = () => this.ask();
    addEventListener("theme", this.onTheme);
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas.parentElement;
    if (width === 0 || height === 0) return;
    sizeCanvas(this.canvas, width, height);
    this.draw();
  }

  ask() {
    if (this.asked || !this.alive) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      if (this.alive) this.draw();
    });
  }

  draw() {
    const ratio = pixelRatio();
    const width = this.canvas.width / ratio;
    const height = this.canvas.height / ratio;
    if (width < 2 || height < 2) return;
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "12px system-ui, sans-serif";
    this.drawNow(context, width, height);
  }

  stop() {
    this.alive = false;
    this.watcher.disconnect();
    removeEventListener("theme", this.onTheme);
  }
}

export const pixelRatio = () => Math.min(2, globalThis.devicePixelRatio || 1);

export function sizeCanvas(canvas, width, height) {
  const ratio = pixelRatio();
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
}

/** Place of a pointer event in the CSS pixels of a canvas. */
export function pointerAt(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}
