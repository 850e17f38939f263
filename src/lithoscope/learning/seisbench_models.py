"""SeisBench's PhaseNet and EQTransformer rebuilt from their files, with their own preprocessing.

SeisBench writes a model as two files, ``NAME.pt`` with the weights and ``NAME.json`` with the
arguments (``NAME.pt.v2`` and ``NAME.json.v2`` with a version). Window, overlap, blinding,
stacking and normalisation are those of SeisBench 0.12 (Woollam et al. 2022,
doi:10.1785/0220210324), unless the file states its own.
"""

from __future__ import annotations

import importlib
import io
import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lithoscope.errors import ModelError
from lithoscope.files import storage_error
from lithoscope.learning.cards import ModelCard, Sigmas, Training
from lithoscope.learning.onnx_export import require_training

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Time uncertainty of a pick by family: standard deviations of the residuals that the authors
#: measured on their test sets. On other networks they are larger; calibrate there.
SIGMAS = {
    "phasenet": Sigmas(
        p_s=0.052, s_s=0.083, source="Zhu & Beroza (2019), their test set of Northern California"
    ),
    "eqtransformer": Sigmas(
        p_s=0.03, s_s=0.11, source="Mousavi et al. (2020), their test set of STEAD"
    ),
}
#: What to cite by family.
CITATIONS = {
    "phasenet": "Zhu & Beroza (2019), doi:10.1093/gji/ggy423",
    "eqtransformer": "Mousavi et al. (2020), doi:10.1038/s41467-020-17591-w",
}
# SeisBench's defaults by family; `threshold` is that of the phases.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "phasenet": {
        "in_samples": 3001,
        "overlap": 1500,
        "blinding": (0, 0),
        "stacking": "avg",
        "threshold": 0.3,
    },
    "eqtransformer": {
        "in_samples": 6000,
        "overlap": 3000,
        "blinding": (500, 500),
        "stacking": "max",
        "threshold": 0.1,
    },
}
# Arguments of SeisBench's models that are understood here.
_KNOWN = {
    "sampling_rate", "component_order", "filter_args", "filter_kwargs", "grouping", "in_channels",
    "in_samples", "classes", "phases", "norm", "norm_amp_per_comp", "norm_detrend", "lstm_blocks",
    "drop_rate", "original_compatible", "filter_factor",
}  # fmt: skip


@dataclass(frozen=True)
class Foreign:
    """A model as SeisBench states it.

    Attributes
    ----------
    name, version
        From the file names.
    weights
        Arrays by name.
    arguments, defaults
        Of its constructor, and of `annotate` and `classify`.
    description
        What its maker wrote.
    """

    name: str
    version: str
    weights: Mapping[str, Tensor]
    arguments: Mapping[str, Any]
    defaults: Mapping[str, Any]
    description: str


def read_seisbench(path: Path) -> Foreign:
    """Return what SeisBench's two files say.

    Parameters
    ----------
    path
        Either file, or their path without ending.

    Raises
    ------
    ModelError
        If one of them is missing or damaged, or holds a whole Python object.
    """
    require_training()
    import torch

    weights_file, arguments_file, name, version = _pair(path)
    try:
        stated = json.loads(arguments_file.read_text(encoding="utf-8"))
    except OSError as error:
        raise storage_error("read", arguments_file, error) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"'{arguments_file}' is no JSON: {error}") from None
    weights = _weights(weights_file, torch)
    if not isinstance(stated, dict) or not isinstance(stated.get("model_args"), dict):
        raise ModelError(f"'{arguments_file}' has no 'model_args'; is it SeisBench's file?")
    return Foreign(
        name=name,
        version=version,
        weights=weights,
        arguments=stated["model_args"],
        defaults=stated.get("default_args") or {},
        description=" ".join(str(stated.get("docstring") or "").split()),
    )


def rebuild(foreign: Foreign) -> tuple[nn.Module, ModelCard]:
    """Return the network with its weights, in evaluation mode, and its card.

    Raises
    ------
    ModelError
        If it is neither a PhaseNet nor an EQTransformer of SeisBench's, or an argument asks for
        something that is not built here.
    """
    family = _family(foreign)
    arguments, defaults = foreign.arguments, _DEFAULTS[family] | dict(foreign.defaults)
    _refuse(foreign, family)
    network = _network(foreign, family)
    length = int(arguments.get("in_samples") or defaults["in_samples"])
    overlap = float(defaults["overlap"])
    overlap = int(overlap * length) if overlap < 1 else int(overlap)
    per_component = bool(arguments.get("norm_amp_per_comp", False))
    norm = "peak" if per_component else str(arguments.get("norm", "std"))
    values = {
        "name": foreign.name,
        "version": foreign.version,
        "family": family,
        "description": foreign.description or f"Imported {family}.",
        "citation": CITATIONS[family],
        "known_failures": ("as far as its maker states them; not evaluated here",),
        "training": Training(recipe="trained elsewhere; see its maker's documentation"),
        "sigmas": SIGMAS[family],
        "input": {
            "rate_hz": float(arguments.get("sampling_rate", 100)),
            "components": str(arguments.get("component_order", "ZNE")),
            "channels": int(arguments.get("in_channels", 3)),
            "preprocessing": norm,
            "detrend": bool(arguments.get("norm_detrend", False)),
            "together": family == "eqtransformer" and norm == "std",
            "taper_samples": 6 if family == "eqtransformer" else 0,
        },
        "output": {"names": _outputs(foreign, family)},
        "windows": {
            "length": length,
            "step": length - overlap,
            "blinding": tuple(int(b) for b in defaults["blinding"]),
            "stacking": {"avg": "mean", "max": "maximum"}.get(
                str(defaults["stacking"]), str(defaults["stacking"])
            ),
            "reach": length,
        },
        "thresholds": {
            "p": float(defaults.get("P_threshold", defaults["threshold"])),
            "s": float(defaults.get("S_threshold", defaults["threshold"])),
            "event": float(defaults.get("detection_threshold", 0.3)),
        },
    }
    card: ModelCard = ModelCard.parse(values, where=f"model '{foreign.name}'")
    return network, card


def _family(foreign: Foreign) -> str:
    if "encoder.convs.0.weight" in foreign.weights:
        return "eqtransformer"
    if "inc.weight" in foreign.weights and "up_branch.0.0.weight" in foreign.weights:
        return "phasenet"
    raise ModelError(
        f"model '{foreign.name}': its weights ({', '.join(list(foreign.weights)[:3])}, ...) are "
        "neither SeisBench's PhaseNet nor its EQTransformer; only these can be imported"
    )


def _refuse(foreign: Foreign, family: str) -> None:
    """Refuse arguments whose effect is not built here: a silent difference would be worse."""
    arguments = foreign.arguments
    where = f"model '{foreign.name}'"
    unknown = sorted(set(arguments) - _KNOWN)
    if unknown:
        raise ModelError(
            f"{where}: argument '{unknown[0]}' is not known for a {family}; "
            "variants of PhaseNet and EQTransformer cannot be imported"
        )
    if arguments.get("original_compatible"):
        raise ModelError(
            f"{where}: original_compatible = {arguments['original_compatible']!r} has other "
            "recurrent cells; only models without it can be imported"
        )
    if arguments.get("filter_args") or arguments.get("filter_kwargs"):
        raise ModelError(
            f"{where}: it filters the whole stream first ({arguments.get('filter_args')!r}); "
            "models with a filter of their own cannot be imported"
        )
    if int(arguments.get("in_channels", 3)) != 3:
        raise ModelError(f"{where}: {arguments['in_channels']} components; three are required")


def _outputs(foreign: Foreign, family: str) -> tuple[str, ...]:
    phases = foreign.arguments.get("phases") or ("PS" if family == "eqtransformer" else "NPS")
    names = tuple("noise" if p == "N" else str(p).lower() for p in phases)
    names = ("event", *names) if family == "eqtransformer" else names
    if not {"p", "s"} <= set(names):
        raise ModelError(
            f"model '{foreign.name}': it picks {', '.join(map(str, phases))}; P and S are required"
        )
    return names


def _network(foreign: Foreign, family: str) -> nn.Module:
    shapes = {name: tuple(w.shape) for name, w in foreign.weights.items()}
    try:
        network = _shaped(shapes, family, foreign.arguments)
        network.load_state_dict(dict(foreign.weights))
    except (KeyError, IndexError, RuntimeError) as error:
        text = " ".join(str(error).split())[:300]
        raise ModelError(
            f"model '{foreign.name}': its weights are not those of a {family}: {text}"
        ) from None
    return network.eval()


def _shaped(
    shapes: Mapping[str, tuple[int, ...]], family: str, arguments: Mapping[str, Any]
) -> nn.Module:
    """Return an untrained network of the sizes that the weights have."""

    def kernels(pattern: str) -> list[tuple[int, ...]]:
        names = [n for n in shapes if re.fullmatch(pattern, n)]
        return [shapes[n] for n in sorted(names, key=lambda n: [int(d) for d in _digits(n)])]

    if family == "phasenet":
        from lithoscope.learning.networks.phasenet import PhaseNet, PhaseNetConfig

        levels = kernels(r"down_branch\.\d+\.0\.weight")
        return PhaseNet(
            PhaseNetConfig(
                filters=tuple(k[0] for k in levels),
                kernel=levels[0][2],
                n_in=shapes["inc.weight"][1],
                n_out=shapes["out.weight"][0],
                # Zeros that SeisBench puts before and after each strided convolution.
                padding=((3, 3), (2, 3), (1, 3), (2, 3)),
            )
        )
    from lithoscope.learning.networks.eqtransformer import EQTransformer, EQTransformerConfig

    encoder = kernels(r"encoder\.convs\.\d+\.weight")
    return EQTransformer(
        EQTransformerConfig(
            filters=tuple(k[0] for k in encoder),
            kernels=tuple(k[2] for k in encoder),
            residual_kernels=tuple(
                k[2] for k in kernels(r"res_cnn_stack\.members\.\d+\.conv1\.weight")
            ),
            recurrences=len(kernels(r"bi_lstm_stack\.members\.\d+\.conv\.weight")),
            hidden=shapes["transformer_d.attention.Wx"][0],
            attention=shapes["transformer_d.attention.Wx"][1],
            feed=shapes["transformer_d.ff.lin1.weight"][0],
            n_in=encoder[0][1],
            phases=len(kernels(r"pick_convs\.\d+\.weight")),
        )
    )


def _digits(name: str) -> list[str]:
    return re.findall(r"\d+", name)


def _pair(path: Path) -> tuple[Path, Path, str, str]:
    """Return the two files of a SeisBench model, its name and its version."""
    found = re.fullmatch(r"(.+?)(?:\.(pt|json))?(?:\.v(\w+))?", path.name)
    if not found:
        raise ModelError(f"'{path}' is not the name of a model")
    stem, version = found[1], found[3]
    ending = f".v{version}" if version else ""
    weights, arguments = (path.with_name(f"{stem}.{kind}{ending}") for kind in ("pt", "json"))
    for file in (weights, arguments):
        if not file.is_file():
            raise ModelError(
                f"no file '{file}'; a SeisBench model is a pair {weights.name} and "
                f"{arguments.name}, as its save(path) writes them"
            )
    return weights, arguments, stem, version or "1"


def _weights(path: Path, torch: Any) -> Mapping[str, Tensor]:
    try:
        content = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise storage_error("read", path, error) from None
    try:
        weights = torch.load(content, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ModelError(
            f"'{path}' is damaged or holds more than weights, and such files can run any code; "
            "write it with SeisBench's save(path)"
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        text = " ".join(str(error).split())[:200]
        raise ModelError(f"'{path}' is damaged or no file of weights: {text}") from None
    if not isinstance(weights, Mapping) or not all(isinstance(k, str) for k in weights):
        raise ModelError(f"'{path}' holds no weights by name; write it with SeisBench's save(path)")
    return weights


def read_installed(wanted: str) -> Foreign:
    """Return a model that an installed SeisBench knows, from its CLASS/WEIGHTS."""
    kind, _, weights = wanted.replace(":", "/").partition("/")
    if kind not in ("PhaseNet", "EQTransformer") or not weights:
        raise ModelError(
            f"'seisbench:{wanted}': write seisbench:PhaseNet/WEIGHTS or "
            "seisbench:EQTransformer/WEIGHTS"
        )
    try:
        library = importlib.import_module("seisbench.models")
    except ImportError:
        raise ModelError(
            "SeisBench is not installed here; in an environment that has it, write the model with "
            "its save(path) and import the files"
        ) from None
    try:
        model = getattr(library, kind).from_pretrained(weights)
    except (ValueError, OSError) as error:
        text = " ".join(str(error).split())[:200]
        raise ModelError(f"SeisBench finds no {kind} '{weights}': {text}") from None
    return Foreign(
        name=f"{kind.lower()}-{weights}",
        version=str(getattr(model, "weights_version", None) or "1"),
        weights=model.state_dict(),
        arguments={k: v for k, v in model.get_model_args().items() if k in _KNOWN or v},
        defaults=model.default_args or {},
        description=" ".join(str(model.weights_docstring or "").split()),
    )
