"""How well a trained picker works on records of other sampling rates than its own.

    python benchmarks/picker_sampling_rates.py [--model NAME] [--rates HZ ...] [--small]

The labelled traces of the test part (split by station, seed 0) are resampled to each rate, without
aliasing, and picked there; thresholds are those of the model's card. Rates under the records' own
take the high frequencies away; rates above it only test that nothing is lost on the way.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import pandas as pd
from evaluate_pickers import SEED
from picker_data import folder

from lithoscope.learning.datasets import read_dataset
from lithoscope.learning.models import list_models
from lithoscope.learning.splits import split_by_station
from lithoscope.picking import Picker
from lithoscope.pipeline.evaluation import Contestant, contestant, evaluate
from lithoscope.pipeline.progress import Silent, Terminal
from lithoscope.waveforms import Record, resample

RATES_HZ = (20.0, 25.0, 40.0, 50.0, 100.0, 200.0)


@dataclass(frozen=True)
class AtRate:
    """A picker that sees every record at one rate."""

    inner: Picker
    sampling_rate_hz: float

    def unusable(self, record: Record) -> str | None:
        """Return why nothing can be picked on a record, or None."""
        return self.inner.unusable(record)

    def pick(self, record: Record) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return picks and detections of the resampled record."""
        return self.inner.pick(resample(record, self.sampling_rate_hz))


def main() -> None:
    """Measure and print one row a rate and phase."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="name or folder; default: the first packaged model")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES_HZ)
    parser.add_argument("--small", action="store_true", help="few traces, two rates")
    options = parser.parse_args()
    packaged = [m.name for m in list_models() if m.packaged and m.card is not None]
    ours = contestant(options.model or packaged[0])
    data = read_dataset(folder()).without_bad_waveforms()
    part = data.with_split(split_by_station(data.metadata, SEED)).part("test")
    rates = (50.0, 100.0) if options.small else options.rates
    if options.small:
        part = part.subset(range(0, len(part), 20))
    result = evaluate(
        [Contestant(f"{r:g} Hz", AtRate(ours.picker, r), ours.thresholds) for r in rates],
        part,
        n_samples=100 if options.small else 1000,
        seed=SEED,
        reporter=Silent() if options.small else Terminal(),
    )
    rows = result.scores[(result.scores["by"] == "all")]
    rows = rows[rows["measure"].isin(("f1", "residual_median_s", "residual_mad_s", "one_sigma"))]
    text = rows.assign(
        figure=[f"{r.value:.3f} ({r.low:.3f} to {r.high:.3f})" for r in rows.itertuples()],
        what=rows["measure"] + [f" {t:g} s" if t == t else "" for t in rows["tolerance_s"]],
    )
    print(f"{ours.name} on {len(part)} traces, 95 % intervals")
    print(text.pivot(index=["phase", "model"], columns="what", values="figure").to_string())
    for row in result.costs.to_dict("records"):
        print(f"{row['model']}: {row['cpu_s']:.2f} CPU s on {row['data_h']:.2f} h")


if __name__ == "__main__":
    main()
