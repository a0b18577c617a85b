# SPDX-License-Identifier: Apache-2.0
"""The names of the contract, its sets, and what each recipe asks for."""

import subprocess
import sys

import pytest

from lowbit import recipes
from lowbit.errors import InputError
from lowbit.recipes import Recipe, Request

CONTRACT = {
    "float32", "float16", "dynamic-w8", "weight-w8", "ptq-w8a8", "ptq-w8a16", "ptq-w4a8", "ptq-w4a16", "qat-w8a8",
    "qat-w4a8", "qat-w8a16", "qat-w4a16", "qat-scratch-w8a8", "ptq-finetuned-w8a8", "float32-finetuned", "auto-size",
    "auto-latency", "keras-float32", "keras-float32-finetuned", "keras-qat-w8a8", "keras-qat-scratch-w8a8",
}  # fmt: skip
GUIDE = {
    "model": "keras-float32",
    "quantization_aware_model_finetune": "keras-qat-w8a8",
    "quantization_aware_model_no_finetune": "keras-qat-scratch-w8a8",
    "quantization_aware_tflite_model_finetune": "qat-w8a8",
    "quantization_aware_tflite_model_no_finetune": "qat-scratch-w8a8",
    "normal_tflite_model_quantized": "dynamic-w8",
    "normal_tflite_model": "float32",
    "tflite_size_optimized_quant_model": "auto-size",
    "tflite_latency_optimized_quant_model": "auto-latency",
}
MORE = {
    "keras-float32-finetuned", "float32-finetuned", "float16", "weight-w8", "ptq-w8a8", "ptq-finetuned-w8a8",
    "ptq-w8a16", "ptq-w4a8",
}  # fmt: skip
ONLY_A_FLOAT_MODEL = {
    "keras-float32", "float32", "float16", "dynamic-w8", "weight-w8", "ptq-w8a8", "ptq-w8a16", "ptq-w4a8", "ptq-w4a16",
}  # fmt: skip


def of(names: str) -> list[str]:
    return [recipe.name for recipe in recipes.resolve(names)]


def test_the_registry_holds_every_name_of_the_contract_and_no_other() -> None:
    assert set(recipes.names()) == CONTRACT
    assert all(recipes.get(name).name == name for name in CONTRACT)
    assert {r.guide_name: r.name for r in map(recipes.get, recipes.names()) if r.guide_name} == GUIDE


def test_sets() -> None:
    assert set(of("guide")) == set(GUIDE.values())
    assert set(of("default")) == set(GUIDE.values()) | MORE and len(of("default")) == 17
    assert set(of("all")) == CONTRACT
    assert of(" float32 , guide,float32")[0] == "float32" and len(of("float32,guide")) == 9
    assert [r.name for r in recipes.resolve(["ptq-w4a8", "float32"])] == ["ptq-w4a8", "float32"]


def test_what_a_recipe_needs() -> None:
    known = [recipes.get(name) for name in recipes.names()]
    assert {r.name for r in known if not r.needs_training} == ONLY_A_FLOAT_MODEL
    assert all(r.needs_data for r in known if r.name.startswith(("ptq", "auto")))
    assert all(r.spec in r.name for r in known if r.spec)
    assert {r.kind for r in known if r.name.startswith("keras-")} == {"keras"}
    assert all(r.maker for r in known if r.kind == "litert" and not r.automatic)


@pytest.mark.parametrize(
    ("name", "closest"),
    [("ptq-w8a9", "ptq-w8a8"), ("dynamic", "dynamic-w8"), ("gide", "guide"), ("float_16", "float16")],
)
def test_unknown_names_raise_with_the_closest(name: str, closest: str) -> None:
    with pytest.raises(InputError, match=f"recipe '{name}'.*did you mean '{closest}'"):
        recipes.resolve(f"float32,{name}")


@pytest.mark.parametrize("nothing", ["", " , ", []])
def test_no_recipe_at_all_is_refused(nothing: str | list[str]) -> None:
    with pytest.raises(InputError, match="at least one recipe"):
        recipes.resolve(nothing)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ptq-w8a8", {}, "'ptq-w8a8' without data"),
        ("auto-size", {"calibration": []}, "lowbit compare --recipes auto-size"),
        ("keras-qat-w8a8", {}, "lowbit compare --recipes keras-qat-w8a8"),
        ("float16", {"io": "int8"}, "io='int8' for recipe 'float16' with float32 activations"),
        ("ptq-w8a16", {"io": "int8", "calibration": []}, "with int16 activations"),
        ("ptq-w8a8", {"io": "int4", "calibration": []}, "io='int4'"),
    ],
)
def test_requests_that_cannot_be_made_touch_nothing(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        recipes.get(name).make(Request(model=None, path="nowhere/x.tflite", **options))  # type: ignore[arg-type]


def test_a_recipe_is_checked_when_built() -> None:
    words = {"label": "", "weights": "", "activations": "", "quantization": ""}
    with pytest.raises(InputError, match="'x' of kind 'onnx' from stage 'float'"):
        Recipe(name="x", kind="onnx", source="float", **words)
    with pytest.raises(InputError, match="from stage 'pruned'"):
        Recipe(name="x", kind="litert", source="pruned", **words)


def test_listing_recipes_loads_no_heavy_package() -> None:
    program = (
        "import sys, lowbit.recipes as r; r.resolve('all');"
        "print([m for m in ('keras', 'tensorflow', 'ai_edge_litert', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
