// Live changes by server-sent events, with the state of the connection in words.

import { address } from "./api.js";

const ACTIONS = ["new", "update", "cancel", "review"];
const FIRST_WAIT_MS = 1000;
const LAST_WAIT_MS = 30000;
// The service sends something at least this often; silence for longer means that it is gone.
const SILENCE_MS = 60000;

/** Tells "state" ({state, text}) and "change" ({action, event_id, sequence}). */
export class Stream extends EventTarget {
  constructor() {
    super();
    this.wait = FIRST_WAIT_MS;
    this.last = null;
    this.lost = false;
    addEventListener("online", () => this.open());
    addEventListener("pagehide", () => this.source?.close());
    addEventListener("pageshow", (event) => { if (event.persisted) this.open(); });
  }

  open() {
    clearTimeout(this.timer);
    this.source?.close();
    this.tell("connecting", this.lost ? "Reconnecting …" : "Connecting …");
    const source = new EventSource(address("api/stream"));
    this.source = source;
    source.addEventListener("open", () => this.opened());
    source.addEventListener("error", () => this.failed());
    source.addEventListener("hello", (event) => this.heard(event));
    source.addEventListener("ping", () => this.watch());
    for (const action of ACTIONS) {
      source.addEventListener(action, (event) => {
        const change = this.heard(event);
        if (change) this.dispatchEvent(new CustomEvent("change", { detail: { ...change, action } }));
      });
    }
  }

  opened() {
    const back = this.lost;
    this.lost = false;
    this.wait = FIRST_WAIT_MS;
    this.tell("live", "Connected");
    this.watch();
    if (back) this.dispatchEvent(new Event("back"));
  }

  heard(event) {
    this.watch();
    try {
      const change = JSON.parse(event.data);
      if (Number.isFinite(change.sequence)) this.last = change.sequence;
      return change;
    } catch {
      return null;
    }
  }

  watch() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.check(), SILENCE_MS);
  }

  /** An idle stream may be healthy: only a server that does not answer is lost. */
  async check() {
    try {
      await fetch(address("api/summary"), { signal: AbortSignal.timeout(10000) });
      this.watch();
    } catch {
      this.failed();
    }
  }

  failed() {
    this.source.close();
    clearTimeout(this.silence);
    clearTimeout(this.timer);
    this.lost = true;
    this.tell("lost", `Server gone, next try in ${Math.round(this.wait / 1000)} s`);
    this.timer = setTimeout(() => this.open(), this.wait);
    this.wait = Math.min(LAST_WAIT_MS, this.wait * 2);
  }

  tell(state, text) {
    this.dispatchEvent(new CustomEvent("state", { detail: { state, text } }));
  }
}
