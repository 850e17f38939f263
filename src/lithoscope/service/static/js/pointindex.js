// A grid over points, to find the one under the pointer among many.

/** Points by cell: cell starts and a list of rows (counting sort). */
export class PointIndex {
  constructor(x, y, n) {
    this.x = x;
    this.y = y;
    this.n = n;
    this.side = Math.max(1, Math.min(512, Math.ceil(Math.sqrt(n / 4))));
    this.bounds(n);
    const cells = new Int32Array(n);
    this.starts = new Int32Array(this.side * this.side + 1);
    for (let i = 0; i < n; i += 1) {
      cells[i] = this.cell(this.column(x[i]), this.line(y[i]));
      this.starts[cells[i] + 1] += 1;
    }
    for (let c = 1; c < this.starts.length; c += 1) this.starts[c] += this.starts[c - 1];
    const next = this.starts.slice();
    this.rows = new Int32Array(n);
    for (let i = 0; i < n; i += 1) {
      this.rows[next[cells[i]]] = i;
      next[cells[i]] += 1;
    }
  }

  bounds(n) {
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < n; i += 1) {
      x0 = Math.min(x0, this.x[i]);
      x1 = Math.max(x1, this.x[i]);
      y0 = Math.min(y0, this.y[i]);
      y1 = Math.max(y1, this.y[i]);
    }
    this.x0 = n ? x0 : 0;
    this.y0 = n ? y0 : 0;
    this.stepX = Math.max(1e-12, (x1 - x0) / this.side) || 1;
    this.stepY = Math.max(1e-12, (y1 - y0) / this.side) || 1;
  }

  column(x) {
    return Math.max(0, Math.min(this.side - 1, Math.floor((x - this.x0) / this.stepX) || 0));
  }

  line(y) {
    return Math.max(0, Math.min(this.side - 1, Math.floor((y - this.y0) / this.stepY) || 0));
  }

  cell(column, line) {
    return line * this.side + column;
  }

  /** Row for which `cost(row)` is least within `reach` of a point, -1 when all are Infinity. */
  best(x, y, reach, cost) {
    let found = -1;
    let least = Infinity;
    const [c0, c1] = [this.column(x - reach), this.column(x + reach)];
    const [l0, l1] = [this.line(y - reach), this.line(y + reach)];
    for (let line = l0; line <= l1; line += 1) {
      const from = this.starts[this.cell(c0, line)];
      const to = this.starts[this.cell(c1, line) + 1];
      for (let k = from; k < to; k += 1) {
        const value = cost(this.rows[k]);
        if (value < least) {
          least = value;
          found = this.rows[k];
        }
      }
    }
    return found;
  }
}
