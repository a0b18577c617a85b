# SPDX-License-Identifier: Apache-2.0
"""Files cut into pieces, the time of each, and the reasons that are read off them."""

import numpy as np
import pytest

from lowbit.results import OpTime, Profile
from lowbit.runtime import Runner, beside, flatbuffer, predict, profile
from lowbit.runtime.arena import arena_bytes
from lowbit.runtime.explaining import reasons
from lowbit.runtime.pieces import Pieces
from lowbit.runtime.schema import Graph, StoredOp, StoredTensor, read_graphs


def chained(cut: Pieces, pieces, value):
    """What the pieces compute one after the other, each fed with what came before, by tensor name."""
    known = dict(value)
    for piece in pieces:
        runner = Runner(cut.content(piece))
        for details in runner.interpreter.get_input_details():
            runner.interpreter.set_tensor(details["index"], known[details["name"]])
        runner.invoke()
        outputs = runner.interpreter.get_output_details()
        known |= {one["name"]: runner.interpreter.get_tensor(one["index"]) for one in outputs}
    return known


@pytest.mark.parametrize("kind", ["float32", "w8a8", "w4a8", "w8a16", "dynamic", "weight"])
def test_the_pieces_together_compute_the_file(files, images, kind):
    content = files[kind].read_bytes()
    cut, whole = Pieces(content), Runner(content)
    assert sorted(position for piece in cut.pieces for position in piece.positions) == list(range(whole.nodes))
    (first,), (last,) = (whole.interpreter.get_input_details(), whole.interpreter.get_output_details())
    expected = predict(files[kind], [images[:1]]).outputs
    alone = [op for piece in cut.pieces for op in cut.ops_of(piece) if not op.idle]
    for pieces in (cut.pieces, alone):
        found = chained(cut, pieces, {first["name"]: images[:1]})
        if kind in ("dynamic", "weight"):
            np.testing.assert_allclose(found[last["name"]], expected, atol=1e-6)
        else:
            np.testing.assert_array_equal(found[last["name"]], expected)


def test_equal_work_has_an_equal_key(files):
    cut = Pieces(files["w8a8"].read_bytes())
    ops = [op for piece in cut.pieces for op in cut.ops_of(piece)]
    assert len({op.key for op in ops}) == len(ops)  # every op of this net has shapes of its own
    again = Pieces(files["w8a8"].read_bytes())
    assert [piece.key for piece in again.pieces] == [piece.key for piece in cut.pieces]


def test_weights_that_are_unpacked_once_take_no_time(files):
    found = profile(files["weight"])
    (unpacking,) = [kind for kind in found.kinds if kind.op == "DEQUANTIZE"]
    assert unpacking.count >= 3 and unpacking.share == 0
    assert sum(kind.count for kind in found.kinds) == Runner.open(files["weight"]).nodes


@pytest.mark.parametrize("kind", ["w8a8", "w8a16"])
def test_the_time_of_the_parts_is_that_of_the_whole(files, kind):
    found = profile(files[kind])
    assert abs(found.unexplained) < 0.6  # a net of microseconds: each part has the cost of a call
    assert sum(kind.count for kind in found.kinds) == Runner.open(files[kind]).nodes
    assert found.whole_ms > 0 and found.arena_bytes > 0
    assert [one.share for one in found.slowest] == sorted((one.share for one in found.slowest), reverse=True)
    sixteen = [reason for reason in found.reasons if "16-bit activations" in reason]
    assert bool(sixteen) == (kind == "w8a16")


def made_up(*kinds: tuple[str, int, bool, float], whole_ms: float = 1.0) -> Profile:
    times = tuple(OpTime(op=op, count=count, delegated=inside, share=share) for op, count, inside, share in kinds)
    inside = sum(time.share for time in times if time.delegated)
    return Profile(
        whole_ms=whole_ms, partitions=3, delegated_share=inside, kinds=times, slowest=(), arena_bytes=None, reasons=()
    )


NOTHING = Graph(tensors=(), ops=(), inputs=(), outputs=())


def test_what_runs_outside_is_named_with_what_to_do():
    kinds = (("HARD_SWISH", 19, False, 0.7), ("CONV_2D", 40, True, 0.26), ("QUANTIZE", 1, True, 0.04))
    first, second, third, fourth = reasons(made_up(*kinds), NOTHING).reasons
    assert first == "XNNPACK runs 41 of 60 ops in 3 partitions: 30.0 % of the time."
    assert second == "Outside it run 19 HARD_SWISH (70.0 %)."
    assert third.startswith("HARD_SWISH: XNNPACK has none in int8")
    assert "4.0 %" in fourth and "--io int8" in fourth


@pytest.mark.parametrize(("scale", "is_taken"), [(1 / 1025, False), (1 / 1023, True), (255, True), (256, False)])
def test_an_addition_of_scales_far_apart_is_explained(files, scale, is_taken):
    """The limits are the runtime's: it says which op it takes."""
    model = flatbuffer.read(files["w8a8"].read_bytes())
    addition = next(op for op in model.subgraphs[0].operators if flatbuffer.op_name(model, op) == "ADD")
    tensors = model.subgraphs[0].tensors
    tensors[addition.inputs[0]].quantization.scale = scale * tensors[addition.outputs[0]].quantization.scale
    content = flatbuffer.write(model)
    found = next(piece for piece in Pieces(content).pieces if "ADD" in piece.ops)
    assert found.delegated == is_taken
    told = reasons(made_up(("ADD", 1, is_taken, 1.0)), read_graphs(content, "file")[0]).reasons
    assert any("in 1 of them an input's scale is less than 1/1,024" in line for line in told) != is_taken


def test_two_files_are_told_apart_by_op():
    slow = made_up(("CONV_2D", 2, True, 0.5), ("DEPTHWISE_CONV_2D", 1, True, 0.5), whole_ms=2.0)
    fast = made_up(("CONV_2D", 2, True, 0.9), ("DEPTHWISE_CONV_2D", 1, True, 0.1), whole_ms=1.0)
    told = beside(slow, fast, "float32.tflite")
    assert told[0] == "1 ms slower than float32.tflite: 2 against 1 ms."
    assert told[1] == "DEPTHWISE_CONV_2D: 1 ms here, 0.1 ms there."
    assert "slower than its float ones on this processor" in told[-1]
    assert beside(fast, slow, "other")[0].startswith("1 ms faster")


def test_the_arena_by_hand():
    """a (100 elements) -> b (300) -> c (100) -> d (10); a is the input and stays, as LiteRT keeps it."""
    tensors = tuple(
        StoredTensor(name=name, shape=(size,), dtype="int8", constant=False, quantized=True)
        for name, size in (("a", 100), ("b", 300), ("c", 100), ("d", 10))
    )
    ops = tuple(StoredOp(name="ADD", inputs=(i,), outputs=(i + 1,)) for i in range(3))
    graph = Graph(tensors=tensors, ops=ops, inputs=(0,), outputs=(3,))
    # in steps of 64: 320 for b, 128 each for a and c, which live while b does; d takes b's place
    assert arena_bytes([graph]) == 320 + 128 + 128
    assert arena_bytes([graph, graph]) is None


def test_the_arena_of_a_file_is_less_than_all_its_tensors_together(files):
    graphs = read_graphs(files["w8a8"].read_bytes(), "file")
    activations = {*graphs[0].inputs, *(index for op in graphs[0].ops for index in op.outputs)}
    together = sum(graphs[0].tensors[index].elements for index in activations)
    assert 0 < arena_bytes(graphs) < together * 4
