// What an operator may do with an event. Nothing is sent without the token.

import { part, post, token } from "./api.js";
import { fill, h } from "./dom.js";
import * as format from "./format.js";
import { stations } from "./stations.js";

const TYPES = [
  "earthquake", "quarry blast", "explosion", "mining explosion", "induced or triggered event", "rock burst",
  "landslide", "ice quake", "sonic boom", "other event", "not existing",
];

export class Review {
  /**
   * `allowed`: the service takes reviews. `done()` is called when the service has taken a
   * change; `origin()` is the origin time of the event, ms.
   */
  constructor(id, allowed, done, origin = () => Date.now()) {
    this.id = id;
    this.origin = origin;
    this.allowed = allowed;
    this.done = done;
    this.message = h("p", { class: "message", role: "status" });
    this.pending = h("div");
    this.comment = h("textarea", { rows: "2", id: "review-comment", maxlength: "2000" });
    this.type = h("select", { "aria-label": "Event type" }, TYPES.map((type) => h("option", { value: type }, type)));
    this.element = h("div", { class: "form" });
    this.onOperator = () => this.build();
    addEventListener("operator", this.onOperator);
    this.build();
  }

  build() {
    if (!this.allowed) {
      fill(this.element, h("p", { class: "soft" }, "This service is read-only: it was started without a token."));
      return;
    }
    if (!token()) {
      fill(this.element, h("p", { class: "soft" }, "Read-only. Enter the operator's token (button Operator, above) to accept, reject, retype or comment this event and to add, move and remove picks."));
      return;
    }
    const act = (text, body, kind = null) => h("button", { type: "button", class: kind, on: { click: () => this.send(body()) } }, text);
    fill(this.element,
      h("label", { for: "review-comment" }, "Comment (sent along with accept, reject and retype too)"), this.comment,
      h("div", { class: "line" }, act("Accept", () => this.with({ action: "accept" }), "primary"),
        act("Reject", () => this.with({ action: "reject" })), act("Comment only", () => this.with({ action: "comment" }))),
      h("div", { class: "line" }, this.type, act("Set type", () => this.with({ action: "retype", event_type: this.type.value }))),
      h("p", { class: "small soft" }, "To move a pick, drag it in the record section or use Move in the table of arrivals; to add one, double-click a trace or use the button. The event is located again at once."),
      h("div", { class: "line" }, h("button", { type: "button", on: { click: () => this.proposeNew("", "P", this.origin()) } }, "Add a pick")),
      this.pending, this.message);
  }

  with(body) {
    const comment = this.comment.value.trim();
    return comment ? { ...body, comment } : body;
  }

  /** Ask before a change of the picks is sent: `parts` are words and inputs, the first is used. */
  ask(parts, text, body) {
    const send = h("button", { type: "button", class: "primary", on: { click: () => this.send(body()) } }, text);
    const drop = h("button", { type: "button", on: { click: () => fill(this.pending) } }, "Cancel");
    fill(this.pending, h("div", { class: "line" }, parts, send, drop));
    this.element.scrollIntoView({ block: "nearest" });
    (this.pending.querySelector("input") ?? send).focus();
  }

  propose(pick, time) {
    const shift = (time - format.milliseconds(pick.time)) / 1000;
    const seconds = h("input", { type: "number", step: "0.01", value: shift.toFixed(2), "aria-label": "Shift of the pick, s" });
    this.ask([`${named(pick)}: shift by`, seconds, "s"], "Move and locate again", () => this.moved(pick, Number.parseFloat(seconds.value)));
  }

  proposeRemoval(pick) {
    this.ask([`${named(pick)}:`], "Remove and locate again", () => this.with({ action: "remove_pick", pick_id: pick.pick_id }));
  }

  /** Ask for station, phase, time and sigma of a pick that nobody has made yet. */
  proposeNew(station, phase, time) {
    const code = h("input", { value: station, size: "14", placeholder: "NET.STA.LOC.BI", "aria-label": "Station of the new pick", list: "review-stations" });
    const codes = h("datalist", { id: "review-stations" }, stations.list.map((item) => h("option", { value: item.station })));
    const kind = h("select", { "aria-label": "Phase of the new pick" }, ["P", "S"].map((value) => h("option", { value, selected: value === phase }, value)));
    const moment = h("input", { value: format.iso(time).replace("T", " ").replace("Z", ""), size: "24", "aria-label": "Time of the new pick, UTC" });
    const sigma = h("input", { type: "number", step: "0.01", min: "0.01", value: phase === "S" ? "0.10" : "0.05", "aria-label": "Sigma of the new pick, s" });
    this.ask([code, codes, kind, "at", moment, "UTC ±", sigma, "s (1 sigma)"], "Add and locate again", () => this.with({
      action: "add_pick", station: code.value.trim(), phase: kind.value,
      time: `${moment.value.trim().replace(" ", "T").replace(/Z$/, "")}Z`, time_sigma_s: Number.parseFloat(sigma.value),
    }));
  }

  moved(pick, seconds) {
    if (!Number.isFinite(seconds)) return null;
    const time = format.iso(Math.round(format.milliseconds(pick.time) + seconds * 1000));
    return this.with({ action: "move_pick", pick_id: pick.pick_id, time });
  }

  async send(body) {
    if (body === null) return;
    if (body.action === "comment" && !body.comment) {
      this.say("Write the comment first.", true);
      return;
    }
    this.say("Sending …");
    try {
      await post(`api/events/${part(this.id)}/review`, body);
      this.comment.value = "";
      fill(this.pending);
      this.say("Done.");
      this.done();
    } catch (error) {
      const refused = error.status === 401 || error.status === 403;
      this.say(refused ? `The token was not accepted. ${error.message}` : error.message, true);
    }
  }

  say(text, bad = false) {
    this.message.textContent = text;
    this.message.className = `message ${bad ? "bad" : "good"}`;
  }

  close() {
    removeEventListener("operator", this.onOperator);
  }
}

const named = (pick) => `${pick.phase} at ${pick.station ?? pick.pick_id.split("/")[0]}`;
