"""Run SeisBench's own PhaseNet and EQTransformer on seeded weights; writes the files beside it.

Run in an environment with SeisBench: ``python make.py`` (see README.md).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import obspy
import seisbench
import seisbench.models as sbm
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "picking"))
import seisbench_recipe as recipe  # noqa: E402

#: Every so many samples are kept.
KEEP = 10


def annotated(model: sbm.WaveformModel, family: str, outputs: str) -> np.ndarray:
    """Return the outputs over the record, zero where SeisBench gives none."""
    start = obspy.UTCDateTime(ns=recipe.starttime_ns(family))
    stream = obspy.Stream()
    for letter, row in zip("ZNE", recipe.record(family), strict=True):
        header = {"network": "XX", "station": "A", "channel": f"HH{letter}", "starttime": start}
        stream.append(obspy.Trace(row, header | {"sampling_rate": recipe.RATE_HZ}))
    found = model.annotate(stream)
    out = np.zeros((len(outputs.split()), recipe.LENGTH[family]), np.float32)
    for row, name in zip(out, outputs.split(), strict=True):
        for trace in found.select(channel=f"{model.name}_{name}"):
            at = round((trace.stats.starttime - start) * recipe.RATE_HZ)
            row[at : at + len(trace)] = np.nan_to_num(trace.data)
    return out


def main() -> None:
    """Write the reference."""
    torch.set_num_threads(1)
    arrays = {}
    for family, kind, outputs in (
        ("phasenet", sbm.PhaseNet, "N P S"),
        ("eqtransformer", sbm.EQTransformer, "Detection P S"),
    ):
        model = kind().eval()
        state = model.state_dict()
        made = recipe.weights({name: tuple(value.shape) for name, value in state.items()})
        model.load_state_dict(state | {name: torch.from_numpy(v) for name, v in made.items()})
        model.save(str(HERE / family))
        (HERE / f"{family}.pt").unlink()  # the recipe makes the weights again
        arrays[family] = annotated(model, family, outputs)[:, ::KEEP]
    np.savez_compressed(HERE / "annotations.npz", **arrays)
    print(f"SeisBench {seisbench.__version__}, torch {torch.__version__}")  # noqa: T201


if __name__ == "__main__":
    main()
