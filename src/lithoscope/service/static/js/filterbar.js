// The filter as a form: every part of it can be set without the map or the time line.

import { catalogue } from "./catalogue.js";
import { fill, h } from "./dom.js";
import * as format from "./format.js";

/** `change(part)` takes the parts of the filter that changed. */
export class FilterBar {
  constructor(change) {
    this.change = change;
    this.inputs = {};
    this.count = h("span", { class: "count", role: "status" });
    const form = h("form", { class: "filters", "aria-label": "Filter", on: { submit: (event) => event.preventDefault() } },
      this.group("From", this.when("from", "From, UTC")), this.group("to", this.when("to", "To, UTC"), h("span", { class: "soft" }, "UTC")),
      this.group("Magnitude", this.limit("minmag", "Least magnitude"), "–", this.limit("maxmag", "Greatest magnitude")),
      this.group("Depth", this.limit("mindepth", "Least depth, km"), "–", this.limit("maxdepth", "Greatest depth, km"), h("span", { class: "soft" }, "km")),
      this.group("Status", this.status()),
      this.group("", this.search()),
      h("button", { type: "button", on: { click: () => this.clear() } }, "Clear"));
    this.active = h("span");
    this.element = h("details", { class: "filterbox" }, h("summary", {}, "Filter", this.active), form);
    // on a small screen the form folds away
    const wide = matchMedia("(min-width: 721px)");
    this.element.open = wide.matches;
    wide.addEventListener("change", () => { this.element.open = wide.matches; });
  }

  group(title, ...parts) {
    return h("span", { class: "group" }, title ? h("span", { class: "soft" }, title) : null, parts);
  }

  limit(name, label) {
    const input = h("input", {
      type: "number", step: "0.1", "aria-label": label,
      on: { input: () => this.change({ [name]: input.value === "" || !Number.isFinite(input.valueAsNumber) ? null : input.valueAsNumber }) },
    });
    this.inputs[name] = input;
    return input;
  }

  when(name, label) {
    const input = h("input", {
      type: "text", class: "when", placeholder: "2019-07-04 17:00:00", "aria-label": label, autocomplete: "off",
      on: { change: () => this.setTime(name, input) },
    });
    this.inputs[name] = input;
    return input;
  }

  setTime(name, input) {
    const text = input.value.trim().replace(" ", "T");
    const ms = text === "" ? null : format.milliseconds(text);
    const bad = text !== "" && ms === null;
    input.setCustomValidity(bad ? "A UTC time such as 2019-07-04 17:00:00" : "");
    input.reportValidity();
    if (!bad) this.change({ [name]: ms });
  }

  status() {
    const select = h("select", { "aria-label": "Status", on: { change: () => this.change({ status: select.value }) } },
      h("option", { value: "" }, "any"), ["preliminary", "confirmed", "reviewed", "final"].map((word) => h("option", { value: word }, word)));
    this.inputs.status = select;
    return select;
  }

  search() {
    const input = h("input", {
      type: "search", placeholder: "Search id or type", "aria-label": "Search event id or type",
      on: { input: () => this.change({ q: input.value.trim().toLowerCase() }) },
    });
    this.inputs.q = input;
    return input;
  }

  clear() {
    this.change({ from: null, to: null, minmag: null, maxmag: null, mindepth: null, maxdepth: null, status: "", q: "", box: null });
  }

  /** Write the filter into the form, but never into the field that is being typed in. */
  show(filter) {
    for (const [name, input] of Object.entries(this.inputs)) {
      if (input === document.activeElement) continue;
      const value = filter[name];
      if (name === "from" || name === "to") input.value = value === null ? "" : format.time(value);
      else input.value = value ?? "";
    }
    const n = Object.entries(filter).filter(([, value]) => value !== null && value !== "").length;
    this.active.textContent = n ? `: ${n} set` : "";
    fill(this.count, h("b", {}, format.count(catalogue.nShown)), ` of ${format.count(catalogue.n)}`);
  }
}
