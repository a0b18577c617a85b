# SPDX-License-Identifier: Apache-2.0
"""The guide's question on the guide's data: what does quantizing MobileNetV2 cost on DeepWeeds, and why 50 %?

Its protocol step by step; then lowbit's defaults, with a fair control, intervals and seeds; then an experiment for each
thing that the guide's figures are made of.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lowbit.compare.folder import model_path
from lowbit.engines import Job
from lowbit.errors import InputError
from lowbit.files import sha256
from lowbit.results import Results
from lowbit.studies import tables
from lowbit.studies.parts import Asked, Part, Study

CONTROL = "float32-finetuned"
RECIPES = ("float32", CONTROL, "ptq-finetuned-w8a8", "qat-w8a8", "ptq-w4a8", "qat-w4a8")
GUIDE, SMALL, LARGE, INPUTS = "guide", "alpha-0.35", "alpha-1.0", "divided-by-225"
ALPHAS = {GUIDE: "1.0", LARGE: "1.0", SMALL: "0.35", INPUTS: "0.35"}
PUBLISHED = {
    "keras-float32": (81.27, 12.0),
    "keras-qat-w8a8": (90.97, 29.0),
    "keras-qat-scratch-w8a8": (91.54, 29.0),
    "qat-w8a8": (90.97, 2.8),
    "qat-scratch-w8a8": (91.71, 2.8),
    "dynamic-w8": (50.08, 2.8),
    "float32": (81.21, 9.2),
    "auto-size": (90.97, 2.8),
    "auto-latency": (90.97, 2.8),
}
"""Accuracy in percent and size in MB of the guide's last table, by recipe."""
STALE_EPOCHS, STALE_RATES = 3, {"stale_statistics": 1e-4, "stale_statistics_fast": 1e-3}


def divided_by_225(pixels: np.ndarray) -> np.ndarray:
    """The guide's preprocessing of pixel values 0..255, where the weights were trained on -1..1."""
    return pixels / np.float32(225)


def parts(asked: Asked) -> list[Part]:
    """The guide's protocol; the defaults at both widths; the guide's inputs with the defaults' training."""
    by_225 = {"preprocess": f"{__name__}:{divided_by_225.__name__}"}
    as_guide = {"recipes": "guide,ptq-w8a8", "qat_lr": 1e-4, "patience": 2, **by_225}
    return [
        Part(name=SMALL, settings=_common(asked, SMALL) | {"recipes": RECIPES, "seeds": asked.seeds}),
        Part(name=INPUTS, settings=_common(asked, INPUTS) | {"recipes": ("float32", CONTROL), **by_225}),
        Part(name=GUIDE, settings=_common(asked, GUIDE) | as_guide),
        Part(name=LARGE, settings=_common(asked, LARGE) | {"recipes": RECIPES}),
    ]


def _common(asked: Asked, part: str) -> dict[str, Any]:
    alpha = ALPHAS[part]
    weights = asked.weights
    if weights not in ("imagenet", "none"):
        weights = str(_weight_file(Path(weights), alpha))
    return {
        "dataset": asked.dataset,
        "model": "mobilenet_v2",
        "model_args": {"alpha": alpha, "weights": weights},
        "image_size": asked.image_size,
        "epochs": asked.epochs,
    }


def _weight_file(folder: Path, alpha: str) -> Path:
    """The file of this width, under the name that Keras publishes it by or that without what does not differ."""
    end = f"{alpha}_224_no_top.h5"
    names = (f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{end}", f"mobilenet_v2_{end}")
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        received=f"weights={folder}, without {names[1]}",
        expected=f"a folder with Keras's weight files of MobileNetV2, alpha 1.0 and 0.35, such as {names[0]}",
        mend="put the file there, or leave weights out to download them",
    )


def experiments(asked: Asked, folders: Mapping[str, Path], results: Mapping[str, Results]) -> list[Job]:
    """On the float models with a frozen base: one of each width for scales, the small one for batch norm."""
    place = f"{__package__}.experiments"
    stale = {name: {"epochs": STALE_EPOCHS, "learning_rate": rate} for name, rate in STALE_RATES.items()}
    return [
        *(
            _job(name, f"{place}:stale_statistics", asked, folders, results, SMALL, settings)
            for name, settings in stale.items()
        ),
        _job("one_scale", f"{place}:one_scale", asked, folders, results, SMALL, {"specs": ["w8a8", "w8a16"]}),
        _job("one_scale_guide", f"{place}:one_scale", asked, folders, results, GUIDE, {"specs": ["w8a8"]}),
    ]


def _job(
    name: str,
    function: str,
    asked: Asked,
    folders: Mapping[str, Path],
    results: Mapping[str, Results],
    part: str,
    arguments: Mapping[str, Any],
) -> Job:
    told = results[part].dataset
    model = folders[part] / model_path("float")
    data = {
        "data": asked.dataset,
        "seed": 0,
        "image_size": list(asked.image_size),
        "preprocess": told["preprocessing"]["preprocess"],
        "channels": 3,
    }
    return Job(
        name=name,
        function=function,
        arguments={**arguments, "seed": 0, "manifest": told["manifest"], "model_sha256": sha256(model)},
        places={"data": data, "model": str(model)},
        essential=True,
    )


def told(asked: Asked, results: Mapping[str, Results], figures: Mapping[str, Any]) -> dict[str, str]:
    """The page's tables and numbers."""
    small, large, inputs = results[SMALL], results[LARGE], results[INPUTS]
    scales, scales_guide = figures["one_scale"], figures["one_scale_guide"]
    return {
        "data": tables.data(small),
        "sides": "x".join(map(str, dict.fromkeys(asked.image_size))),
        "environment": tables.environment(small),
        "command": tables.command(asked),
        "seeds": str(asked.seeds),
        "epochs": str(asked.epochs),
        "guide_table": tables.against_published(results[GUIDE], PUBLISHED),
        "small_table": tables.recipes(small, CONTROL),
        "large_table": tables.recipes(large, CONTROL),
        "small_verdict": tables.verdict(small),
        "large_verdict": tables.verdict(large),
        "guide_verdict": tables.verdict(results[GUIDE]),
        "unfreezing_table": tables.steps(
            {
                f"base frozen, inputs divided by 225, alpha {ALPHAS[INPUTS]}": tables.share(inputs, "float32"),
                f"base frozen, inputs -1..1, alpha {ALPHAS[SMALL]}": tables.share(small, "float32"),
                f"all layers trained, inputs divided by 225, alpha {ALPHAS[INPUTS]}": tables.share(inputs, CONTROL),
                f"all layers trained, inputs -1..1, alpha {ALPHAS[SMALL]}": tables.share(small, CONTROL),
                f"the same with quantizers (QAT, 8 bits), alpha {ALPHAS[SMALL]}": tables.share(small, "qat-w8a8"),
                f"base frozen, inputs -1..1, alpha {ALPHAS[LARGE]}": tables.share(large, "float32"),
                f"all layers trained, inputs -1..1, alpha {ALPHAS[LARGE]}": tables.share(large, CONTROL),
                f"the same with quantizers (QAT, 8 bits), alpha {ALPHAS[LARGE]}": tables.share(large, "qat-w8a8"),
            }
        ),
        "stale_epochs": str(STALE_EPOCHS),
        "stale_table": tables.steps(_stale(figures)),
        "scales_table": tables.steps(
            {
                "float": scales["float"],
                "8-bit weights, a scale for each channel, 8-bit activations": scales["w8a8-channel"],
                "8-bit weights, one scale for the weight, 8-bit activations": scales["w8a8-tensor"],
                "8-bit weights, a scale for each channel, 16-bit activations": scales["w8a16-channel"],
                "8-bit weights, one scale for the weight, 16-bit activations": scales["w8a16-tensor"],
            }
        ),
        "guide_scales_table": tables.steps(
            {
                "float": scales_guide["float"],
                "8-bit weights, a scale for each channel, 8-bit activations": scales_guide["w8a8-channel"],
                "8-bit weights, one scale for the weight, 8-bit activations": scales_guide["w8a8-tensor"],
            }
        ),
    }


def _stale(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Before, and for each learning rate as training left it and with statistics measured anew."""
    shares = {"before: base frozen": figures[next(iter(STALE_RATES))]["before"]}
    for name, rate in STALE_RATES.items():
        trained = f"all layers trained at {rate:g}"
        shares[f"{trained}, moving averages as training left them"] = figures[name]["stale"]
        shares[f"{trained}, the same weights, statistics measured anew"] = figures[name]["measured"]
    return shares


DEEP_WEEDS = Study(
    name="deep_weeds",
    page=Path(__file__).with_suffix(".md"),
    parts=parts,
    experiments=experiments,
    told=told,
    pictures={
        "samples.png": f"{SMALL}/samples.png",
        "tradeoff-0.35.png": f"{SMALL}/tradeoff.png",
        "tradeoff-1.0.png": f"{LARGE}/tradeoff.png",
        "tradeoff-guide.png": f"{GUIDE}/tradeoff.png",
    },
    image_size=224,
    default_dataset="deep_weeds",
)
