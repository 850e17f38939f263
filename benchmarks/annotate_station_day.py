"""A station-day from files to picks: CPU seconds and peak memory, beside SeisBench's PhaseNet.

    python benchmarks/annotate_station_day.py [--model NAME ...] [--phasenet FILE.npz]
        [--seisbench-python DIR/bin/python] [--waveforms FILE] [--repeats N] [--json FILE] [--small]

Three components, 100 Hz, Steim2, in one file each, are written to a temporary folder: noise with
bursts (seed 0), or `--waveforms`, a file with one station, repeated until the day is full. Each
turn runs every program once, one thread and a process each, in turn, so that what else the
machine does meets all alike. Ours does what `lithoscope pick` does, from indexing the files to
the tables, kept results included. Times are CPU seconds (user and system) after imports and loading
of the model; memory is the largest resident set of the process, imports included.

The network's share is what its calls take; operations are counted in the ONNX graph (2 for a
multiplication and addition of a convolution or matrix product), and compared with the machine's
peak: float32 matrix products of 1024 x 1024 by NumPy, on the same core in the same turns.
With `--phasenet` SeisBench runs the same weights as our engine; without, random ones.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

DAY_S, RATE_HZ = 86_400, 100
STATION = ("XX", "BENCH", "HH")
START_NS = 1_577_836_800 * 10**9
#: Onsets of the synthetic S after those of P (s), and how near a pick must be to count.
S_AFTER_S, TOLERANCE_S = 5, 0.5


def write_day(folder: Path, seconds: int, source: Path | None) -> Any:
    """Write one miniSEED file a component; return the onsets of P in it (s), if they are known."""
    import numpy as np
    from obspy import Stream, Trace, UTCDateTime

    n = seconds * RATE_HZ
    data, onsets = (_repeated(source, n), None) if source else _bursts(np.random.default_rng(0), n)
    for row, component in zip(data, "ZNE", strict=True):
        header = dict(zip(("network", "station"), STATION, strict=False))
        header |= {"channel": STATION[2] + component, "sampling_rate": RATE_HZ}
        trace = Trace(row, header | {"starttime": UTCDateTime(ns=START_NS)})
        Stream([trace]).write(str(folder / f"{component}.mseed"), "MSEED", encoding="STEIM2")
    return onsets


def _bursts(rng: Any, n: int) -> Any:
    import numpy as np

    out = np.empty((3, n), np.int32)
    onsets = np.arange(6000, n - 6000, 12_000)
    onsets += rng.integers(0, 3000, len(onsets))
    late = np.arange(6000)
    for row, (p, s) in zip(out, ((1.0, 0.5), (0.4, 1.5), (0.4, 1.5)), strict=True):
        values = np.cumsum(rng.normal(0, 30, n)) * 0.01 + rng.normal(0, 200, n)
        for onset in onsets:
            size = 3e4 * np.exp(-late / 300) * rng.normal(size=6000)
            values[onset : onset + 6000] += p * size
            values[onset + S_AFTER_S * RATE_HZ : onset + 6000] += s * size[: -S_AFTER_S * RATE_HZ]
        row[:] = np.rint(values)
    return out, onsets / RATE_HZ


def _repeated(source: Path, n: int) -> Any:
    import numpy as np

    from lithoscope.waveforms import index_archive, read_records, resample

    archive = index_archive(source)
    records, _ = read_records(archive, archive.stations()[0])
    record = resample(max(records, key=lambda r: r.n_samples), RATE_HZ)
    # There and back, so that no step comes where the pieces meet.
    pair = np.concatenate([record.data, record.data[:, ::-1]], axis=1)
    times = -(-n // pair.shape[1])
    return np.rint(np.tile(pair, (1, times))[:, :n]).astype(np.int32)


def ours(folder: Path, model: str) -> dict[str, Any]:
    """Measure files to picks with a model of ours, in this process."""
    from lithoscope.learning.runtime import OnnxModel
    from lithoscope.pipeline import RunSettings, pick, stages
    from lithoscope.pipeline.pickers import make_picker
    from lithoscope.waveforms import index_archive

    settings = RunSettings.model_validate(
        {"picking": {"method": "learned", "model": model}, "engine": {"workers": 1}}
    )
    picker = make_picker(settings.picking)
    shapes: Counter[tuple[int, ...]] = Counter()
    spent = Counter(network=0.0, reading=0.0)
    run, read = OnnxModel.run, stages.read_records

    def counted_run(network: Any, x: Any) -> Any:
        before = time.process_time()
        out = run(network, x)
        spent["network"] += time.process_time() - before
        shapes[x.shape] += 1
        return out

    def counted_read(*arguments: Any, **options: Any) -> Any:
        before = time.process_time()
        out = read(*arguments, **options)
        spent["reading"] += time.process_time() - before
        return out

    # Compiled code comes from its cache, so a first, short record loads it.
    archive = index_archive(folder)
    start = archive.span_ns()[0]
    picker.pick(read(archive, archive.stations()[0], start, start + 60 * 10**9)[0][0])
    del archive
    OnnxModel.run, stages.read_records = counted_run, counted_read  # type: ignore[method-assign]
    before = time.process_time()
    picks, _, _ = pick([folder], [], settings)
    total = time.process_time() - before
    memory = peak_mb()  # before onnx is imported to count operations
    times = {
        phase.lower(): [(t.value - START_NS) / 1e9 for t in picks["time"][picks["phase"] == phase]]
        for phase in "PS"
    }
    content = picker.model.network.content  # type: ignore[attr-defined]
    operations = sum(n * _operations(content, shape) for shape, n in shapes.items())
    return times | {
        "cpu_s": total,
        "reading_s": spent["reading"],
        "network_s": spent["network"],
        "gflop": operations / 1e9,
        "peak_mb": memory,
    }


def _operations(content: bytes, shape: tuple[int, ...]) -> float:
    """Return the operations of one call of a network on an input of a shape."""
    import onnx

    model = onnx.load_from_string(content)
    for size, dimension in zip(shape, model.graph.input[0].type.tensor_type.shape.dim, strict=True):
        dimension.dim_value = size
    del model.graph.value_info[:]  # what was inferred for any size
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    sizes = {w.name: tuple(w.dims) for w in graph.initializer}
    for value in [*graph.input, *graph.output, *graph.value_info]:
        sizes[value.name] = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    total = 0.0
    for node in graph.node:
        if node.op_type == "Conv":
            total += 2.0 * _product(sizes[node.output[0]]) * _product(sizes[node.input[1]][1:])
        elif node.op_type == "ConvTranspose":
            total += 2.0 * _product(sizes[node.input[0]]) * _product(sizes[node.input[1]][1:])
        elif node.op_type in ("MatMul", "Gemm"):
            total += 2.0 * _product(sizes[node.output[0]]) * sizes[node.input[0]][-1]
    return total


def _product(sizes: tuple[int, ...]) -> float:
    out = 1.0
    for size in sizes:
        out *= size
    return out


def peak_mb() -> float:
    """Return the largest resident set of this process so far (MB)."""
    # What getrusage calls so contains that of the process that started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def peak() -> dict[str, Any]:
    """Measure float32 matrix products."""
    import numpy as np

    n = 1024
    a = np.random.default_rng(0).standard_normal((n, n), np.float32)
    a @ a
    seconds = []
    for _ in range(15):
        before = time.process_time()
        a @ a
        seconds.append(time.process_time() - before)
    return {"gflop_per_s": 2e-9 * n**3 / min(seconds)}


def seisbench(folder: Path, weights: str) -> dict[str, Any]:
    """Measure SeisBench's PhaseNet from files to picks, in this process (its own environment)."""
    import obspy
    import seisbench as library
    import seisbench.models as models
    import torch

    torch.set_num_threads(1)
    model = models.PhaseNet(component_order="ENZ").eval()
    if weights:
        model.load_state_dict(torch.load(weights, weights_only=True))
    spent, forward = [0.0], model.forward

    def counted(*arguments: Any, **options: Any) -> Any:
        before = time.thread_time()
        out = forward(*arguments, **options)
        spent[0] += time.thread_time() - before
        return out

    def day(first: Any = None, last: Any = None) -> Any:
        stream = obspy.Stream()
        for path in sorted(folder.iterdir()):
            stream += obspy.read(path, starttime=first, endtime=last)
        return model.classify(stream.merge(-1)).picks

    start = obspy.UTCDateTime(ns=START_NS)
    day(start, start + 60)
    model.forward = counted
    before = time.process_time()
    picks = day()
    total = time.process_time() - before
    times = {p.lower(): [pick.peak_time - start for pick in picks if pick.phase == p] for p in "PS"}
    version = f"SeisBench {library.__version__}, PyTorch {torch.__version__}"
    return times | {"cpu_s": total, "network_s": spent[0], "version": version}


def child(python: str, *words: str) -> dict[str, Any]:
    """Run one measurement in a process of its own, on one thread."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, "1")
    done = subprocess.run(
        [python, __file__, "--child", *words], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{words[0]} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def worker(kind: str, *words: str) -> None:
    """Do one measurement and print it."""
    kinds = {"ours": ours, "seisbench": seisbench}
    found = peak() if kind == "peak" else kinds[kind](Path(words[0]), words[1])
    print(json.dumps({"peak_mb": peak_mb()} | found))


def same_weights(file: Path, folder: Path) -> Path:
    """Return PhaseNet's released weights as SeisBench loads them."""
    import numpy as np
    import torch

    from lithoscope.learning.networks.phasenet import from_tensorflow

    with np.load(file) as arrays:
        network = from_tensorflow({name: arrays[name] for name in arrays.files})
    torch.save(network.state_dict(), folder / "phasenet.pt")
    return folder / "phasenet.pt"


def measure(
    options: argparse.Namespace, scratch: Path
) -> tuple[dict[str, list[dict[str, Any]]], Any]:
    """Return what each program took, turn by turn, and the onsets of P if they are known."""
    from lithoscope.learning.model_import import import_model
    from lithoscope.learning.models import list_models

    day = scratch / "day"
    day.mkdir()
    onsets = write_day(day, 1200 if options.small else DAY_S, options.waveforms)
    models = {name: name for name in options.model}
    if not options.model:
        models = {m.name: m.name for m in list_models() if m.packaged}
    weights = ""
    if options.phasenet:
        card, place = import_model(options.phasenet, folder=scratch)
        models[f"{card.name} in our engine"] = str(place)
        weights = str(same_weights(options.phasenet, scratch)) if options.seisbench_python else ""
    calls = {name: (sys.executable, "ours", str(day), model) for name, model in models.items()}
    calls["matrix product"] = (sys.executable, "peak")
    if options.seisbench_python:
        calls["SeisBench PhaseNet"] = (options.seisbench_python, "seisbench", str(day), weights)
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in calls}
    for turn in range(options.repeats):
        # Every other turn backwards: no program always runs after the same one.
        for name in list(calls)[:: -1 if turn % 2 else 1]:
            turns[name].append(child(*calls[name]))
    return turns, onsets


def found_of(times: list[float], onsets: Any, after: float) -> str:
    """Return the number of picks, and the recall where the onsets are known."""
    if onsets is None:
        return f"{len(times)}"
    hits = sum(min((abs(t - o - after) for t in times), default=9.9) < TOLERANCE_S for o in onsets)
    return f"{len(times)} (recall {hits / len(onsets):.2f})"


def show(turns: dict[str, list[dict[str, Any]]], onsets: Any) -> None:
    """Print the table of medians."""
    peaks = [turn["gflop_per_s"] for turn in turns.pop("matrix product")]
    top = statistics.median(peaks)
    print(f"matrix products: {top:.0f} GFLOP/s ({min(peaks):.0f} to {max(peaks):.0f})")
    print(f"{'':30s}files to picks              network s  GFLOP  of peak  peak MB  picks P, S")
    for name, found in turns.items():
        middle = {key: statistics.median(f[key] for f in found) for key in ("cpu_s", "network_s")}
        seconds = [f["cpu_s"] for f in found]
        work = found[0].get("gflop")
        rate = f"{work:6.0f} {100 * work / middle['network_s'] / top:7.0f}%" if work else " " * 15
        print(
            f"{name:30s}{middle['cpu_s']:6.2f} CPU s ({min(seconds):.2f} to {max(seconds):.2f})"
            f"{middle['network_s']:12.2f} {rate} {max(f['peak_mb'] for f in found):8.0f}"
            f"  {found_of(found[0]['p'], onsets, 0)}, {found_of(found[0]['s'], onsets, S_AFTER_S)}"
            f"  {found[0].get('version', '')}"
        )
        if "reading_s" in found[0]:
            reading = statistics.median(f["reading_s"] for f in found)
            print(f"  of which reading: {reading:.2f} CPU s")


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="append", default=[], help="name or folder; repeatable")
    parser.add_argument("--phasenet", type=Path, help="PhaseNet's released variables (.npz)")
    parser.add_argument("--seisbench-python", help="Python of an environment with SeisBench")
    parser.add_argument("--waveforms", type=Path, help="file with one station, to be repeated")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="20 minutes instead of a day")
    parser.add_argument("--json", type=Path, help="write all turns here")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        worker(*options.child)
        return
    with tempfile.TemporaryDirectory() as scratch:
        turns, onsets = measure(options, Path(scratch))
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
        f"{'20 minutes' if options.small else 'a day'} of three components, {RATE_HZ} Hz, "
        f"{options.waveforms or 'synthetic'}, {options.repeats} turns"
    )
    if options.json:
        options.json.write_text(json.dumps(turns, indent=1))
    show(turns, onsets)


if __name__ == "__main__":
    main()
