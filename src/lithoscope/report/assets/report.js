"use strict";
(function () {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const byId = (id) => document.getElementById(id);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // ---- tables: a click on a heading sorts -------------------------------------------------
  function value(cell, numeric) {
    const text = cell ? cell.textContent : "";
    if (!numeric) return text;
    const match = text.replace(/−/g, "-").replace(/,/g, "").match(/-?\d+(\.\d+)?(e[-+]?\d+)?/i);
    return match ? parseFloat(match[0]) : NaN;
  }
  document.querySelectorAll("th button").forEach((button) => {
    button.addEventListener("click", () => {
      const head = button.parentElement;
      const body = head.closest("table").tBodies[0];
      const column = head.cellIndex;
      const numeric = head.classList.contains("n");
      const down = head.getAttribute("aria-sort") === "ascending";
      const rows = Array.from(body.rows, (row) => [value(row.cells[column], numeric), row]);
      rows.sort(([a], [b]) => {
        if (numeric) {
          if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b);
          return down ? b - a : a - b;
        }
        return (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1);
      });
      head.parentElement.querySelectorAll("th").forEach((th) => th.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...rows.map(([, row]) => row));
    });
  });

  // ---- events: tips on the figures, choice by click ---------------------------------------
  const tip = byId("tip");
  const table = byId("event-table");
  function describe(index) {
    const row = byId("e" + index);
    if (!row) return "";
    const heads = table.tHead.rows[0].cells;
    return [0, 7, 5, 4, 9, 10]
      .map((i) => heads[i].textContent + ": " + row.cells[i].textContent)
      .join("\n");
  }
  function hideTip() { tip.hidden = true; }
  document.addEventListener("mouseover", (event) => {
    const mark = event.target.closest("circle[data-e]");
    if (!mark) return hideTip();
    tip.textContent = describe(mark.dataset.e);
    tip.style.whiteSpace = "pre-line";
    tip.hidden = false;
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = Math.max(4, Math.min(event.pageX + 12, room)) + "px";
    tip.style.top = event.pageY + 14 + "px";
  });
  function highlight(index) {
    document.querySelectorAll(".on").forEach((mark) => mark.classList.remove("on"));
    document.querySelectorAll('[data-e="' + index + '"]').forEach((m) => m.classList.add("on"));
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-show]");
    const mark = event.target.closest("circle[data-e]");
    if (link) {
      show(position(link.dataset.show));
      byId("records").scrollIntoView();
    } else if (mark) {
      const index = mark.dataset.e;
      highlight(index);
      if (position(index) >= 0) show(position(index));
      const row = byId("e" + index);
      // scroll the table's own box, never the page away from the map
      if (row) row.closest(".table").scrollTop = row.offsetTop - 80;
    }
  });

  // ---- record sections ---------------------------------------------------------------------
  const events = data.events;
  const position = (index) => events.findIndex((e) => e.i === Number(index));
  let current = 0;
  if (!events.length) return;
  const canvas = byId("canvas");
  byId("viewer").hidden = false;

  function unpack(text) {
    const raw = atob(text);
    const out = new Int8Array(raw.length);
    for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
    return out;
  }
  function niceStep(span, n) {
    const raw = span / n;
    const power = Math.pow(10, Math.floor(Math.log10(raw)));
    return [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  }
  function drawTrace(ctx, text, x, dx, middle, half, gain) {
    const pairs = unpack(text);
    ctx.beginPath();
    let pen = false;
    for (let i = 0; i < pairs.length / 2; i++) {
      if (pairs[2 * i] === -128) { pen = false; continue; }
      const clip = (v) => Math.max(-1.25, Math.min(1.25, (v / 127) * gain));
      const low = middle - half * clip(pairs[2 * i]);
      const high = middle - half * clip(pairs[2 * i + 1]);
      const at = x + (i + 0.5) * dx;
      if (pen) ctx.lineTo(at, low); else ctx.moveTo(at, low);
      ctx.lineTo(at, high);
      pen = true;
    }
    ctx.stroke();
  }
  function draw() {
    const event = events[current];
    const wide = canvas.clientWidth;
    const rowHeight = Math.max(24, Math.min(52, 560 / event.rows.length));
    const left = 118, right = 12, top = 26, bottom = 40;
    const high = top + bottom + rowHeight * event.rows.length;
    const scale = window.devicePixelRatio || 1;
    canvas.style.height = high + "px";
    canvas.width = Math.round(wide * scale);
    canvas.height = Math.round(high * scale);
    const ctx = canvas.getContext("2d");
    ctx.scale(scale, scale);
    const ink = colour("--ink"), soft = colour("--soft"), rule = colour("--grid");
    const colours = { P: colour("--p"), S: colour("--s") };
    const inner = wide - left - right;
    const x = (t) => left + ((t - event.from) / (event.to - event.from)) * inner;
    ctx.font = "12px system-ui, sans-serif";
    ctx.lineWidth = 1;
    const step = niceStep(event.to - event.from, Math.max(4, inner / 90));
    ctx.textAlign = "center";
    for (let t = Math.ceil(event.from / step) * step; t <= event.to; t += step) {
      ctx.strokeStyle = rule;
      ctx.beginPath(); ctx.moveTo(x(t), top); ctx.lineTo(x(t), high - bottom); ctx.stroke();
      ctx.fillStyle = soft;
      ctx.fillText(String(Number(t.toFixed(6))), x(t), high - bottom + 16);
    }
    ctx.fillText("Time after origin, s", left + inner / 2, high - 6);
    ctx.textAlign = "left";
    ctx.fillStyle = ink;
    ctx.fillText(event.title, left, 16);
    const kind = byId("component").value;
    const gain = Math.pow(2, Number(byId("gain").value));
    event.rows.forEach((row, i) => {
      const middle = top + rowHeight * (i + 0.5);
      const a = middle - rowHeight * 0.46, b = middle + rowHeight * 0.46;
      ctx.textAlign = "right";
      ctx.fillStyle = ink;
      ctx.fillText(row.k, left - 50, middle + 4);
      ctx.fillStyle = soft;
      ctx.fillText(row.d === null ? "–" : row.d.toFixed(row.d < 99.5 ? 1 : 0), left - 8, middle + 4);
      ctx.textAlign = "left";
      row.p.forEach((pick) => {
        if (!pick[2]) return;
        ctx.fillStyle = colours[pick[0]];
        ctx.globalAlpha = 0.2;
        ctx.fillRect(x(pick[1] - pick[2]), a, Math.max(x(pick[1] + pick[2]) - x(pick[1] - pick[2]), 1), b - a);
        ctx.globalAlpha = 1;
      });
      ctx.strokeStyle = soft;
      ctx.lineWidth = 0.9;
      if (row[kind]) drawTrace(ctx, row[kind], left, inner / event.n, middle, rowHeight * 0.42, gain);
      else { ctx.fillStyle = soft; ctx.fillText("no data", left + 8, middle + 4); }
      const mark = (t, style, width, dash, alpha) => {
        if (t < event.from || t > event.to) return;
        ctx.strokeStyle = style; ctx.lineWidth = width; ctx.setLineDash(dash); ctx.globalAlpha = alpha;
        ctx.beginPath(); ctx.moveTo(x(t), a); ctx.lineTo(x(t), b); ctx.stroke();
        ctx.setLineDash([]); ctx.globalAlpha = 1;
      };
      if (byId("predicted").checked) row.q.forEach((q) => mark(q[1], colours[q[0]], 1.2, [2, 3], 0.9));
      row.o.forEach((o) => mark(o[1], soft, 1.6, [], 0.9));
      row.p.forEach((p) => mark(p[1], colours[p[0]], 1.9, [], p[4] === null || p[4] > 0.5 ? 1 : 0.4));
    });
    ctx.fillStyle = soft;
    ctx.textAlign = "right";
    ctx.fillText("Station", left - 50, 16);
    ctx.fillText("km", left - 8, 16);
    ctx.strokeStyle = soft; ctx.lineWidth = 0.8;
    ctx.strokeRect(left, top, inner, high - top - bottom);
  }
  function list() {
    const event = events[current];
    const number = (v, n) => (v === null || v === undefined ? "–" : v.toFixed(n).replace("-", "−"));
    const rows = [];
    event.rows.forEach((row) => row.p.forEach((p) => {
      const cells = [row.s, number(row.d, 1), p[0], number(p[1], 3), number(p[2], 3), number(p[3], 3), number(p[4], 2)];
      const tr = document.createElement("tr");
      cells.forEach((text, i) => {
        const td = document.createElement("td");
        td.textContent = text;
        if (i === 1 || i > 2) td.className = "n";
        tr.append(td);
      });
      rows.push(tr);
    }));
    byId("pick-rows").replaceChildren(...rows);
    byId("picks-of").textContent = "Picks of " + event.id;
  }
  function show(which) {
    if (which < 0) return;
    current = (which + events.length) % events.length;
    byId("choose").value = String(current);
    highlight(events[current].i);
    draw();
    list();
  }
  byId("choose").addEventListener("change", (e) => show(Number(e.target.value)));
  byId("previous").addEventListener("click", () => show((current + events.length - 1) % events.length));
  byId("next").addEventListener("click", () => show((current + 1) % events.length));
  ["component", "gain", "predicted"].forEach((id) => byId(id).addEventListener("input", draw));
  canvas.addEventListener("keydown", (e) => {
    if (e.key === "ArrowLeft") show((current + events.length - 1) % events.length);
    else if (e.key === "ArrowRight") show((current + 1) % events.length);
    else return;
    e.preventDefault();
  });
  let timer = 0;
  addEventListener("resize", () => { clearTimeout(timer); timer = setTimeout(draw, 120); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  show(0);
})();
