// Stations and their state, read again while the service is live.

import { get } from "./api.js";

/** What the states of a station are called. */
export const STATE_WORDS = { ok: "in time", late: "late", silent: "silent", archive: "archive", unknown: "state unknown" };

class Stations extends EventTarget {
  constructor() {
    super();
    this.list = [];
    this.message = "";
    this.state = "loading";
  }

  async load() {
    try {
      const answer = await get("api/stations");
      this.list = (answer?.stations ?? []).filter((station) => Number.isFinite(station.longitude));
      this.state = "ready";
      this.message = "";
    } catch (error) {
      this.message = error.message;
      if (this.state !== "ready") this.state = "failed";
    }
    this.dispatchEvent(new Event("data"));
  }

  find(code) {
    return this.list.find((station) => station.station === code);
  }
}

export const stations = new Stations();
