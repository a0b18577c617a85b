# SPDX-License-Identifier: Apache-2.0
"""What a recipe is: a name, the words of its table row, where its model comes from, and how its file is written."""

import importlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lowbit.errors import InputError
from lowbit.results import ParityResult
from lowbit.spec import Rule

STAGES = ("float", "finetuned", "qat-w8a8", "qat-w4a8", "qat-w8a16", "qat-w4a16", "qat-scratch-w8a8")
"""Trained models that recipes start from; `lowbit.recipes.training` knows how each is trained."""

LEAST_AGREEMENT = 0.98
"""As in `lowbit.export.write`, which cannot be imported here: it loads Keras."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a recipe is given to write its file.

    model        a Keras model, or for a recipe whose source is a QAT stage its simulation; never changed
    path         the `.tflite` to write
    calibration  batches for activation ranges; needed where `Recipe.needs_data`
    parity       batches to compare the file with its simulation on; None leaves it out
    io           "float32" or "int8": the type of the file's inputs and outputs
    rules        settings for single layers, for recipes that make a simulation (`Recipe.takes_rules`)
    input_shape  sizes in place of a float model's free ones, as for `lowbit.quantize_model`
    least_agreement    share of answers on which file and simulation must agree where `parity` is given; None: any
    keep_names   whether tensors inside an integer file keep their names, as for `lowbit.export`
    python       the interpreter that makes the file, as for `lowbit.export`
    """

    model: Any
    path: str | os.PathLike[str]
    calibration: Iterable[Any] | None = None
    parity: Iterable[Any] | None = None
    io: str = "float32"
    rules: tuple[Rule, ...] = ()
    input_shape: Any = None
    least_agreement: float | None = LEAST_AGREEMENT
    keep_names: bool = False
    python: str | os.PathLike[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Made:
    """A written file. `seconds` is the time that writing took; `summary` lists a simulation's layers; `tensor_names`
    are the names that its card keeps; `kept_float` are a simulation's layers that stay float, with the reason."""

    path: Path
    size_bytes: int
    sha256: str
    seconds: float
    quantized_tensors: int | None = None
    parity: ParityResult | None = None
    summary: str | None = None
    tensor_names: tuple[str, ...] | None = None
    kept_float: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One named technique; frozen data, so that listing recipes loads neither keras nor tensorflow.

    kind            "keras" (a trained model, run by Keras) or "litert" (a written `.tflite`)
    source          the stage it takes its model from; None for `auto-*`, which choose among the other files
    weights, activations, quantization    words for the table
    guide_name      the variable in the guide that this row stands for
    spec            bits, for recipes with a simulation
    maker           dotted name of the function that writes the file, imported when it is first used
    """

    name: str
    label: str
    kind: str
    source: str | None
    weights: str
    activations: str
    quantization: str
    guide_name: str | None = None
    spec: str | None = None
    maker: str | None = None
    needs_data: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("keras", "litert") or (self.source is not None and self.source not in STAGES):
            raise InputError(
                received=f"recipe {self.name!r} of kind {self.kind!r} from stage {self.source!r}",
                expected=f"kind keras or litert, and a stage among {', '.join(STAGES)}",
                mend="correct the recipe's declaration",
            )

    @property
    def words(self) -> dict[str, Any]:
        """What a table says of it, by the fields of `lowbit.results.Row`."""
        return {
            "recipe": self.name,
            "label": self.label,
            "kind": self.kind,
            "guide_name": self.guide_name,
            "weights": self.weights,
            "activations": self.activations,
            "quantization": self.quantization,
        }

    @property
    def needs_training(self) -> bool:
        """Whether more than a trained float model is needed: another training, or other recipes' files."""
        return self.source != "float"

    @property
    def automatic(self) -> bool:
        """Whether it chooses among the files of other recipes."""
        return self.source is None

    @property
    def takes_rules(self) -> bool:
        """Whether it makes the simulation itself: one that was trained has its rules already."""
        return self.maker is not None and self.spec is not None and self.source in ("float", "finetuned")

    def make(self, request: Request) -> Made:
        """Write the file; raises InputError for a recipe that writes none, without the data it needs, or with rules
        that it could not follow.
        """
        if self.maker is None:
            raise InputError(
                received=f"recipe {self.name!r}",
                expected="a recipe that writes a file from one model",
                mend=f"run: lowbit compare --recipes {self.name}",
            )
        self.check(has_data=request.calibration is not None, io=request.io, rules=request.rules)
        module, _, function = self.maker.partition(":")
        made: Made = getattr(importlib.import_module(module), function)(self, request)
        return made

    def check(self, *, has_data: bool, io: str, rules: Sequence[Rule]) -> None:
        """Raises InputError for what it could not follow; asked before a model is loaded."""
        if self.needs_data and not has_data:
            raise InputError(
                received=f"recipe {self.name!r} without data",
                expected="data to set the ranges of activations; unlabelled samples are enough",
                mend="pass data (command line: --data)",
            )
        if io not in ("float32", "int8") or (io == "int8" and self.activations != "int8"):
            raise InputError(
                received=f"io={io!r} for recipe {self.name!r} with {self.activations} activations",
                expected="float32, or int8 for a recipe with int8 activations",
                mend="leave io (--io) out, or choose ptq-w8a8",
            )
        self._check_rules(rules)

    def _check_rules(self, rules: Sequence[Rule]) -> None:
        if rules and not self.takes_rules:
            trained = self.spec is not None and self.source is not None
            raise InputError(
                received=f"rules for recipe {self.name!r}",
                expected="no rules: a trained simulation has its own" if trained else "a recipe that uses integers",
                mend="give them to quantize_model or lowbit qat" if trained else "choose ptq-w8a8, or leave them out",
            )
