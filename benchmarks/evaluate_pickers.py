"""Measure pickers beside each other: a trained model, PhaseNet as published, the classical one.

    python benchmarks/evaluate_pickers.py [--model NAME] [--phasenet FILE] [--part test|validation]
                                          [--equal-noise] [--refit] [--no-noise] [--output FOLDER]
                                          [--card] [--small]

The labelled traces are split by station (seed 0). Every picker's thresholds are chosen by F1
within 0.1 s on the training and validation parts: a model of ours that was trained on them brings
the thresholds of its folds, in which each of these stations was held out. The test part is read
once and chooses nothing. With ``--equal-noise`` all is measured once more with thresholds raised
until each picker is as quiet as PhaseNet in validation noise (Chile, 1 April 2014), with a
confidence of 90 %. ``--refit`` adds the classical picker fitted to the training and validation
parts, since it has been fitted to some of the test traces as packaged. ``--card`` writes the
scores on the model's card.
Noise is what comes before P in traces picked by hand, and two quiet continuous recordings, where
small events may be real, so that their rates are upper bounds. PhaseNet's weights are imported
from a file of arrays; nothing of it is kept. ``--output`` writes page, tables, and ``results.md``
for docs/picking-benchmark.md.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from fit_classical_picker import fit
from picker_data import FILES, _trains, folder, load

from lithoscope.cli.evaluate import evaluation_text, save_evaluation
from lithoscope.learning.calibration import CONFIDENCE
from lithoscope.learning.cards import Score, read_card, write_card
from lithoscope.learning.datasets import WaveformDataset, read_dataset
from lithoscope.learning.metrics import largest_mean
from lithoscope.learning.model_import import import_model
from lithoscope.learning.models import CARD, find_model, list_models
from lithoscope.learning.splits import split_by_station
from lithoscope.picking import ClassicalPicker, ClassicalPickerSettings, _calibration
from lithoscope.pipeline.evaluated_picks import pick_dataset, pick_noise, truth
from lithoscope.pipeline.evaluated_scores import FLOOR, GRID, phase_of
from lithoscope.pipeline.evaluation import (
    Contestant,
    Evaluation,
    Noise,
    best_thresholds,
    contestant,
    evaluate,
)
from lithoscope.pipeline.progress import Silent, Terminal
from lithoscope.waveforms import Record

SEED = 0
MEASURES = (
    "residual_median_s",
    "residual_mad_s",
    "one_sigma",
    "calibration_error",
    "false_per_hour",
)


def contestants(model: str | None, phasenet: Path, scratch: Path) -> list[Contestant]:
    """Return our model (if there is one), PhaseNet (if its weights are there), the classical."""
    packaged = [m.name for m in list_models() if m.packaged and m.card is not None]
    ours = model or (packaged[0] if packaged else None)
    found = [contestant(ours, settled=True)] if ours else []
    if phasenet.exists():
        _, place = import_model(phasenet, name="PhaseNet", folder=scratch)
        found.append(contestant(str(place)))
    return [*found, contestant("classical")]


def quiet() -> list[Noise]:
    """Return continuous recordings without catalogued events."""
    continuous = folder().parent / "continuous"
    return [
        Noise(
            "Ridgecrest before the sequence",
            [continuous / "ridgecrest_2019" / "waveforms"],
            end=pd.Timestamp("2019-07-04T17:02:50", tz="UTC"),
        ),
        Noise("Chile, 1 March 2014", [continuous / "chile_cx_2014" / "CX_20140301"]),
    ]


def validation_noise() -> list[Noise]:
    """Return a recording that no picker was trained on, as quiet as those of `quiet`."""
    place = folder().parent / "continuous" / "chile_cx_2014" / "CX_20140401"
    return [Noise("Chile, 1 April 2014", [place])]


def at_equal_noise(
    pickers: list[Contestant], validation: WaveformDataset, reference: str = "PhaseNet"
) -> list[Contestant]:
    """Return the pickers with thresholds that keep them as quiet as the reference.

    Thresholds are those of best F1 on the validation traces, raised until the largest mean that
    the number of picks in validation noise leaves possible (`CONFIDENCE`) is no more than the
    number of the reference.
    """
    known, noise = truth(validation), validation_noise()
    level: dict[tuple[str, str], float] = {}
    count: dict[tuple[str, str], np.ndarray] = {}
    for one in pickers:
        chosen = dict(one.thresholds)
        if not one.settled:
            chosen |= best_thresholds(known, pick_dataset(one.picker, validation, known).picks)
        calm, _ = pick_noise(one.picker, noise)
        for phase in "PS":
            level[one.name, phase] = chosen[phase]
            values = phase_of(calm[calm["in_noise"].to_numpy(bool)], phase)["probability"]
            count[one.name, phase] = np.array([(values >= g).sum() for g in GRID])
    grid, out = np.array(GRID), []
    for one in pickers:
        raised = {phase: level[one.name, phase] for phase in "PS"}
        for phase in "PS" if one.name != reference else "":
            limit = np.interp(level[reference, phase], grid, count[reference, phase])
            quiet_enough = largest_mean(count[one.name, phase], CONFIDENCE) <= limit
            fit = (grid >= level[one.name, phase] - 1e-9) & quiet_enough
            raised[phase] = float(grid[fit].min()) if fit.any() else float(grid[-1])
        basis = f"validation traces, then as quiet as {reference} in validation noise"
        out.append(replace(one, thresholds=raised, settled=basis))
    return out


class RefittedClassical(ClassicalPicker):
    """The classical picker with its regressions fitted to the training and validation parts.

    As packaged it has been fitted to some of the test traces, under another split.
    """

    def __init__(self, validation: WaveformDataset) -> None:
        low = dict.fromkeys(("p_threshold", "s_threshold", "single_threshold"), FLOOR)
        super().__init__(ClassicalPickerSettings(**low))
        names = set(validation.metadata["trace"])
        known = [
            trace
            for origin in FILES
            for i, trace in enumerate(load((origin,)))
            if f"{origin}/{i}" in names
        ]
        if len(known) != len(names):
            raise SystemExit(f"{len(known)} of {len(names)} traces found to fit the classical one")
        with contextlib.redirect_stdout(io.StringIO()):
            self._fitted = fit(known)

    def pick(self, record: Record) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Pick with the fitted regressions in the place of the packaged ones."""
        with mock.patch.object(_calibration, "models", return_value=self._fitted):
            return super().pick(record)


def seen_by_classical(dataset: WaveformDataset) -> int:
    """Return how many traces took part in the fit of the classical picker."""
    seen = 0
    for name in FILES:
        rows = pd.read_csv(folder() / f"{name}.csv")
        own = dataset.metadata.loc[dataset.metadata["source"] == name, "trace"]
        seen += sum(_trains(name, rows.iloc[int(t.rpartition("/")[2])]) for t in own)
    return seen


def markdown(scores: pd.DataFrame, differences: pd.DataFrame, costs: pd.DataFrame) -> str:
    """Return the tables of docs/picking-benchmark.md."""
    models = list(dict.fromkeys(scores["model"]))
    names = scores["of"].where(scores["by"] != "all", "all")
    cells = scores.assign(where=names)[scores["by"].isin(["all", "source"])]
    head = f"| records | phase | measure | {' | '.join(models)} |"
    lines = [head, "|---|---|---|" + "---|" * len(models)]
    wanted = [("f1", t) for t in sorted(scores["tolerance_s"].dropna().unique())]
    wanted += [(m, None) for m in MEASURES]
    order = ["all", *sorted(set(cells["where"]) - {"all"})]
    for where in order:
        for phase in "PS":
            for measure, tolerance in wanted:
                here = cells[(cells["where"] == where) & (cells["phase"] == phase)]
                here = here[here["measure"] == measure]
                if tolerance is not None:
                    here = here[here["tolerance_s"] == tolerance]
                if here.empty:
                    continue
                text = [_cell(here[here["model"] == model]) for model in models]
                name = measure if tolerance is None else f"F1 within {tolerance:g} s"
                lines.append(f"| {where} | {phase} | {name} | {' | '.join(text)} |")
    lines += ["", f"| F1 of {models[0]} minus that of | phase | within | difference |"]
    lines.append("|---|---|---|---|")
    for d in differences[differences["by"] == "all"].to_dict("records"):
        span = f"{d['value']:+.3f} ({d['low']:+.3f} to {d['high']:+.3f})"
        lines.append(f"| {d['against']} | {d['phase']} | {d['tolerance_s']:g} s | {span} |")
    times = [f"{c['model']} {c['cpu_s_per_station_day']:.1f}" for c in costs.to_dict("records")]
    return "\n".join([*lines, "", f"CPU s a station-day on traces this short: {', '.join(times)}."])


def write_scores(folder: Path, scores: pd.DataFrame, part: str) -> None:
    """Write the first model's scores on all records, and F1 by source, on its card."""
    rows = scores[(scores["model"] == scores["model"].iloc[0]) & scores["value"].notna()]
    by_source = (rows["by"] == "source") & (rows["measure"] == "f1") & (rows["tolerance_s"] == 0.1)
    kept = [
        Score(
            dataset=f"{part}, {row['of'] or 'all sources'}",
            phase=row["phase"],
            measure=row["measure"],
            tolerance_s=row["tolerance_s"] if row["tolerance_s"] > 0 else None,
            value=float(f"{row['value']:.4f}"),
            low=float(f"{row['low']:.4f}"),
            high=float(f"{row['high']:.4f}"),
            n=int(row["n"]),
        )
        for row in rows[(rows["by"] == "all") | by_source].to_dict("records")
    ]
    card = read_card(folder / CARD)
    write_card(card.model_copy(update={"scores": tuple(kept)}), folder / CARD)


def _cell(rows: pd.DataFrame) -> str:
    if rows.empty:
        return ""
    row = rows.iloc[0]
    digits = 1 if row["measure"] == "false_per_hour" else 3
    text = f"{row['value']:.{digits}f}"
    if pd.notna(row["low"]):
        text += f" ({row['low']:.{digits}f} to {row['high']:.{digits}f})"
    return text


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="name or folder; default: the first packaged model")
    default = folder().parent / "peers" / "phasenet_190703.npz"
    parser.add_argument("--phasenet", type=Path, default=default)
    parser.add_argument("--part", choices=("test", "validation"), default="test")
    parser.add_argument("--equal-noise", action="store_true", help="thresholds by noise as well")
    parser.add_argument("--refit", action="store_true", help="the classical picker refitted, too")
    parser.add_argument("--card", action="store_true", help="write the scores on the card")
    parser.add_argument("--no-noise", action="store_true", help="no continuous recordings")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--small", action="store_true", help="few traces, no noise recordings")
    options = parser.parse_args()
    data = read_dataset(folder()).without_bad_waveforms()
    data = data.with_split(split_by_station(data.metadata, SEED))
    part, validation = data.part(options.part), data.part("train+validation")
    if options.small:
        part, validation = (d.subset(range(0, len(d), 12)) for d in (part, validation))
    with tempfile.TemporaryDirectory() as scratch:
        pickers = contestants(options.model, options.phasenet, Path(scratch))
        if options.refit:
            own = RefittedClassical(validation)
            pickers.append(replace(pickers[-1], name="classical, refitted", picker=own))
        results = [("", measured(pickers, part, validation, options))]
        if options.equal_noise:
            calm = at_equal_noise(pickers, validation)
            results.append(("equal-noise", measured(calm, part, validation, options)))
    for name, result in results:
        print(evaluation_text(result))
        if options.output:
            place = options.output / name
            save_evaluation(result, place, title=f"Pickers on the {options.part} part")
            text = markdown(result.scores, result.differences, result.costs)
            (place / "results.md").write_text(text + "\n", encoding="utf-8")
    print(f"{seen_by_classical(part)} of these traces took part in the fit of the classical picker")
    first = results[0][1]
    for row in first.costs.to_dict("records"):
        print(f"{row['model']}: {row['cpu_s']:.1f} CPU s on {row['data_h']:.2f} h")
    if options.card and options.model:
        write_scores(find_model(options.model), first.scores, f"{options.part} part")


def measured(
    pickers: list[Contestant],
    part: WaveformDataset,
    validation: WaveformDataset,
    options: argparse.Namespace,
) -> Evaluation:
    """Return what the pickers reach on a part and in noise."""
    return evaluate(
        pickers,
        part,
        validation=validation,
        noise=() if options.small or options.no_noise else quiet(),
        n_samples=200 if options.small else 2000,
        seed=SEED,
        reporter=Silent() if options.small else Terminal(),
    )


if __name__ == "__main__":
    main()
