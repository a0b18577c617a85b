# SPDX-License-Identifier: Apache-2.0
"""Results of a made-up run: a float row, two integer ones (one collapsed), a Keras one, one that failed."""

import dataclasses

import pytest

from lowbit.results import (
    ChangedSample,
    Changes,
    ClassAccuracy,
    Curve,
    Details,
    LatencyRatio,
    LatencyResult,
    Metric,
    OpTime,
    ParityResult,
    Profile,
    Results,
    Row,
    SizeParts,
    SlowOp,
    Verdict,
)

KERAS_NOTES = dict.fromkeys(
    ("ops", "float_ops", "delegated_share", "parity", "latency_ratio"), "runs in Keras, not from a file"
)


def ok_row(recipe, correct, size, median, weights, activations, **changes):
    figures = {
        "metrics": {"accuracy": Metric(value=correct / 200, ci95=(0.9, 0.99), correct=correct, total=200)},
        "agreement_with_float": 0.985,
        "mcnemar_p": 0.0004,
        "size_bytes": size,
        "compressed_bytes": size // 2,
        "latency_ms": LatencyResult(median=median, p10=0.9 * median, p90=1.2 * median, runs=50, threads=1),
        "latency_ratio": LatencyRatio(
            reference="float32", value=median / 0.02, ci95=(median / 0.022, median / 0.018), rounds=20
        ),
        "peak_memory_bytes": 5_000_000,
        "quantization": "as its name says",
        "weights": weights,
        "activations": activations,
        "ops": 24,
        "float_ops": 0 if activations == "int8" else 24,
        "delegated_share": 0.96,
        "parity": ParityResult.of((), top1_agreement=1.0, output_max_codes=0),
        "trained_epochs": 4,
    }
    return Row(**{"recipe": recipe, "label": recipe, "kind": "litert", "status": "ok", **figures, **changes})


@pytest.fixture
def results():
    exact = ParityResult(
        tensors=24, top1_agreement=1.0, output_max_codes=0, worst_equal=1.0, worst_within_one=1.0, worst_tensor="conv"
    )
    almost = dataclasses.replace(exact, worst_equal=0.99999)
    no_parity = {"parity": None, "notes": {"parity": "made without a simulation"}}
    rows = (
        ok_row(
            "keras-float32", 196, 120_000, 24.1234, "float32", "float32", kind="keras", guide_name="model", ops=None,
            float_ops=None, delegated_share=None, parity=None, latency_ratio=None, notes=KERAS_NOTES,
        ),
        ok_row("float32", 196, 83_500, 0.01234, "float32", "float32", **no_parity),
        ok_row("ptq-w8a8", 195, 31_100, 0.019, "int8", "int8", parity=exact, guide_name="a|b"),
        ok_row("qat-w8a8", 197, 31_100, 0.0191, "int8", "int8", parity=almost, notes={"best_epoch": "3 of 4"}),
        ok_row("ptq-w4a8", 22, 22_400, 0.021, "int4", "int8", parity=exact),
        Row(recipe="ptq-w8a16", label="x", kind="litert", status="failed", reason="file did not load"),
    )  # fmt: skip
    return Results(
        lowbit="0.1.0",
        created="2026-01-02T03:04:05Z",
        command="lowbit compare",
        seed=0,
        environment={"cpu": "some cpu", "cores": 2},
        dataset={"name": "digits", "counts": {"train": 719, "test": 200}},
        model={"name": "small_cnn"},
        verdict=Verdict(lines=("For size take ptq-w8a8.",), best={"size": "ptq-w8a8"}, max_drop=1.0),
        rows=rows,
    )


PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5Erk"
    "Jggg=="
)
CLASSES = ("<script>alert(1)</script>", "雑草", "cat & \"dog\"")


@pytest.fixture
def details():
    """What lies behind those results; class names with markup, in Chinese characters, with quotes."""
    first = ChangedSample(position=7, label=CLASSES[0], before=CLASSES[0], after=CLASSES[1])
    second = ChangedSample(position=9, label=CLASSES[1], before=CLASSES[2], after=CLASSES[1])
    kinds = (
        OpTime(op="CONV_2D", count=3, delegated=True, share=0.7),
        OpTime(op="SOFTMAX", count=1, delegated=False, share=0.25),
    )
    return Details(
        training={"keras-float32": Curve(logs={"loss": (2.0, 1.0), "val_loss": (2.2, 1.1)}, best_epoch=2)},
        classes=ClassAccuracy(
            names=CLASSES, total=(100, 50, 50), correct={"float32": (98, 49, 49), "ptq-w8a8": (90, 50, 49)}
        ),
        changes={"ptq-w8a8": Changes(lost=1, gained=1, other=0, samples=(first, second))},
        pictures={"7": PICTURE},
        sizes={
            "ptq-w8a8": SizeParts(
                constants=20_000, scales=4_000, zero_points=2_000, names=100, structure=5_000, floor=23_000
            )
        },
        profiles={
            "ptq-w8a8": Profile(
                whole_ms=2.0, partitions=1, delegated_share=0.7, kinds=kinds, arena_bytes=1000,
                slowest=(SlowOp(op="CONV_2D", layer="stem <conv>", delegated=True, share=0.5),),
                reasons=("XNNPACK runs 3 of 4 ops in 1 partition: 70.0 % of the time.", "Outside it run 1 SOFTMAX."),
            )
        },
        kept_float={"ptq-w8a8": {"lambda <1>": "no integer form"}},
        attribution="photographs by A & B, CC BY 4.0",
    )  # fmt: skip
