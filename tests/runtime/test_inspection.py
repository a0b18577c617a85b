# SPDX-License-Identifier: Apache-2.0
import zipfile

import pytest

from lowbit.errors import FileFormatError
from lowbit.runtime import inspect

# kind: ops, float ops, hybrid ops, weights, activations, share of ops that XNNPACK runs (None: not pinned)
EXPECTED = {
    "float32": (6, 6, 0, "float32", "float32", 1.0),
    "w8a8": (8, 0, 0, "int8", "int8", 7 / 8),  # XNNPACK has no int8 SOFTMAX
    "w8a8-io": (6, 0, 0, "int8", "int8", 5 / 6),
    "w4a8": (8, 0, 0, "int8", "int8", None),  # 216 int4 codes, 112 int8 ones: see below
    "w8a16": (8, 0, 0, "int8", "int16", None),
    "dynamic": (6, 3, 3, "int8", "float32", None),
    "weight": (9, 6, 0, "int8", "float32", 1.0),
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_what_a_file_holds(files, kind):
    found = inspect(files[kind])
    ops, float_ops, hybrid_ops, weights, activations, share = EXPECTED[kind]
    assert (found.n_ops, found.float_ops, found.hybrid_ops) == (ops, float_ops, hybrid_ops)
    assert found.activations_dtype == activations
    assert found.weights_dtype == ("int4" if kind == "w4a8" else weights)
    assert found.delegated_reason is None
    if share is not None:
        assert found.delegated_share == pytest.approx(share)


def test_parameters_are_weights_and_biases(files):
    """216 + 72 + 40 weights, 8 folded biases of the convolution (depthwise and dense have zeros, left out or kept)."""
    found = inspect(files["float32"])
    assert found.weights == {"float32": found.parameters}
    assert 216 + 72 + 40 + 8 <= found.parameters <= 216 + 72 + 40 + 8 + 8 + 5
    assert inspect(files["w4a8"]).weights["int4"] == 216


def test_edges(files):
    found = inspect(files["w8a8-io"])
    (image,) = found.inputs
    assert (image.name, image.shape, image.dtype) == ("image", (1, 12, 12, 3), "int8")
    assert image.scale == pytest.approx(2 / 255, rel=0.02)
    (scores,) = found.outputs
    assert (scores.shape, scores.scale, scores.zero_point) == ((1, 5), 1 / 256, -128)
    assert inspect(files["w8a8"]).inputs[0].scale is None


def test_sizes(files, tmp_path):
    found = inspect(files["w8a8"])
    assert found.size_bytes == files["w8a8"].stat().st_size
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(files["w8a8"], "model")
    assert found.compressed_bytes == pytest.approx((tmp_path / "x.zip").stat().st_size, abs=40)
    assert found.compressed_bytes < found.size_bytes


def test_counts_add_up(files):
    for path in files.values():
        found = inspect(path)
        assert sum(op.count for op in found.ops) == found.n_ops
        for op in found.ops:
            assert op.float_count + op.hybrid_count + op.int_count <= op.count


def test_damaged_file(tmp_path, files):
    path = tmp_path / "half.tflite"
    path.write_bytes(files["w8a8"].read_bytes()[:900])
    with pytest.raises(FileFormatError, match="half.tflite"):
        inspect(path)
