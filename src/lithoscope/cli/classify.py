"""`lithoscope classify`."""

from __future__ import annotations

from lithoscope.classification import classify
from lithoscope.cli._options import Folder, Form, Json, load, save, show
from lithoscope.schema import EVENTS


def command(folder: Folder, form: Form = "csv", as_json: Json = False) -> None:
    """Event types: reads and writes events."""
    events = classify(load(folder, EVENTS))
    save(folder, EVENTS, events, form)
    counts = events["event_type"].value_counts().to_dict()
    reasons = "; ".join(sorted(set(events["event_type_reason"])))
    text = "\n".join(f"{n} {kind}" for kind, n in counts.items()) + f"\n{reasons}"
    show(counts, as_json, text)
