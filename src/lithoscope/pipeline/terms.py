"""The stage between association and location: station terms of the whole run."""

from __future__ import annotations

import pandas as pd

from lithoscope.location import StationTerms, station_terms
from lithoscope.pipeline.prior import prior_key
from lithoscope.pipeline.rundir import Tables
from lithoscope.pipeline.stages import Context

TERMS_NAME = "station_terms.csv"


def terms_stage(
    context: Context, assignments: pd.DataFrame, picks: pd.DataFrame
) -> StationTerms | None:
    """Return the station terms that the settings ask for, and write them into the run directory.

    They rest on all events of the run at once, so the stage is one unit.
    """
    settings = context.settings.location
    target = context.directory.path / TERMS_NAME
    if settings.station_terms == "none":
        target.unlink(missing_ok=True)
        return None
    used = picks[picks["pick_id"].isin(assignments["pick_id"])].reset_index(drop=True)
    tables = (assignments, used, context.sites)

    def compute() -> Tables:
        found = station_terms(*tables, context.model, settings, prior=context.prior)
        assert found is not None
        return found.to_tables()

    if settings.station_terms == "estimate":
        key = context.key(
            "terms",
            *tables,
            repr(context.model),
            prior_key(context.settings.prior),
            settings.model_dump(mode="json"),
        )
        terms = StationTerms.from_tables(context.directory.cached("terms", key, compute))
    else:
        terms = StationTerms.from_tables(compute())
    context.directory.write_text(TERMS_NAME, terms.table.round(6).to_csv(index=False))
    return terms
