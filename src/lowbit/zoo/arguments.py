# SPDX-License-Identifier: Apache-2.0
"""The settings of a zoo model (`--model-arg alpha=0.35`), checked before anything is built."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lowbit.errors import InputError
from lowbit.zoo.catalog import Entry


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """`alpha` is the width multiplier of a MobileNet, None for the published 1.0.

    `weights` is "imagenet", "none", or the path of a file with the weights of the base, without its classifier.
    """

    alpha: float | None = None
    weights: str = "imagenet"


def parse(entry: Entry, model_args: Mapping[str, str]) -> Arguments:
    """The arguments of one zoo model.

    Raises InputError for an argument the model does not take, an alpha that is no positive number, or a missing file.
    """
    taken = () if entry.function is None else ("alpha", "weights") if entry.takes_alpha else ("weights",)
    unknown = sorted(set(model_args) - set(taken))
    if unknown:
        raise InputError(
            received=f"model argument {unknown[0]}={model_args[unknown[0]]} for {entry.name}",
            expected=f"arguments among {', '.join(taken)}" if taken else "no arguments",
            mend="leave it out",
        )
    alpha = _alpha(model_args["alpha"]) if "alpha" in model_args else None
    return Arguments(alpha=alpha, weights=_weights(str(model_args.get("weights", "imagenet"))))


def _alpha(word: str) -> float:
    try:
        alpha = float(word)
    except ValueError:
        alpha = float("nan")
    if not 0 < alpha <= 8:
        raise InputError(
            received=f"alpha={word}",
            expected="a width multiplier above 0, at most 8",
            mend="pass for example alpha=0.35",
        )
    return alpha


def _weights(word: str) -> str:
    if word.lower() in ("imagenet", "none"):
        return word.lower()
    if not Path(word).is_file():
        raise InputError(
            received=f"weights={word}, which is no file",
            expected="imagenet, none, or a weight file of the base without its classifier",
            mend="check the path",
        )
    return word
