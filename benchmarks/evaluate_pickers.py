"""Measure pickers beside each other: a trained model, PhaseNet as published, the classical one.

    python benchmarks/evaluate_pickers.py [--model NAME] [--phasenet FILE] [--part test|validation]
                                          [--equal-noise] [--no-noise] [--output FOLDER] [--card]
                                          [--small]

The labelled traces are split by station (seed 0). Every picker's thresholds are chosen by F1
within 0.1 s on the training and validation parts: a model of ours that was trained on them brings
the thresholds of its folds, in which each of these stations was held out. The test part is read
once and chooses nothing. With ``--equal-noise`` thresholds are raised from there until a picker
makes no more picks in validation noise (Chile, 1 April 2014) than PhaseNet. ``--card`` writes the
scores on the model's card.
Noise is what comes before P in traces picked by hand, and two quiet continuous recordings, where
small events may be real, so that their rates are upper bounds. PhaseNet's weights are imported
from a file of arrays; nothing of it is kept. ``--output`` writes page, tables, and ``results.md``
for docs/picking-benchmark.md.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from picker_data import FILES, _trains, folder

from lithoscope.cli.evaluate import evaluation_text, save_evaluation
from lithoscope.learning.cards import Score, read_card, write_card
from lithoscope.learning.datasets import WaveformDataset, read_dataset
from lithoscope.learning.metrics import TOLERANCES_S, best_threshold
from lithoscope.learning.model_import import import_model
from lithoscope.learning.models import CARD, find_model, list_models
from lithoscope.learning.splits import split_by_station
from lithoscope.pipeline.evaluated_picks import pick_dataset, pick_noise, truth
from lithoscope.pipeline.evaluated_scores import GRID, phase_of
from lithoscope.pipeline.evaluation import Contestant, Noise, contestant, evaluate
from lithoscope.pipeline.progress import Silent, Terminal

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
    """Return the pickers with thresholds that leave no more picks in noise than the reference.

    Thresholds are those of best F1 on the validation traces, raised where validation noise asks
    for it.
    """
    known, noise = truth(validation), validation_noise()
    level: dict[tuple[str, str], float] = {}
    rate: dict[tuple[str, str], np.ndarray] = {}
    for one in pickers:
        found = None if one.settled else pick_dataset(one.picker, validation, known).picks
        calm, spans = pick_noise(one.picker, noise)
        hours = (spans["last_s"] - spans["first_s"]).sum() / 3600.0
        for phase in "PS":
            key = one.name, phase
            level[key] = one.thresholds[phase]
            if found is not None:
                labels, picks = phase_of(known.labels, phase), phase_of(found, phase)
                level[key] = best_threshold(labels, picks, TOLERANCES_S[0], GRID)[0]
            values = phase_of(calm[calm["in_noise"].to_numpy(bool)], phase)["probability"]
            rate[key] = np.array([(values >= g).sum() / hours for g in GRID])
    grid, out = np.array(GRID), []
    for one in pickers:
        raised = {}
        for phase in "PS":
            limit = np.interp(level[reference, phase], grid, rate[reference, phase])
            fit = (grid >= level[one.name, phase] - 1e-9) & (rate[one.name, phase] <= limit + 1e-9)
            raised[phase] = float(grid[fit].min()) if fit.any() else float(grid[-1])
        basis = f"validation traces, then no more picks than {reference} in validation noise"
        out.append(replace(one, thresholds=raised, settled=basis))
    return out


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
        if options.equal_noise:
            pickers = at_equal_noise(pickers, validation)
        result = evaluate(
            pickers,
            part,
            validation=validation,
            noise=() if options.small or options.no_noise else quiet(),
            n_samples=200 if options.small else 2000,
            seed=SEED,
            reporter=Silent() if options.small else Terminal(),
        )
    print(evaluation_text(result))
    print(f"{seen_by_classical(part)} of these traces took part in the fit of the classical picker")
    for row in result.costs.to_dict("records"):
        print(f"{row['model']}: {row['cpu_s']:.1f} CPU s on {row['data_h']:.2f} h")
    if options.output:
        save_evaluation(result, options.output, title=f"Pickers on the {options.part} part")
        text = markdown(result.scores, result.differences, result.costs)
        (options.output / "results.md").write_text(text + "\n", encoding="utf-8")
    if options.card and options.model:
        write_scores(find_model(options.model), result.scores, f"{options.part} part")


if __name__ == "__main__":
    main()
