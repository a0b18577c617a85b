# SPDX-License-Identifier: Apache-2.0
import struct
import subprocess
import sys

import numpy as np
import pytest

from lowbit.errors import FileFormatError, InputError
from lowbit.runtime import check_file, clean, device, measure, measure_together
from lowbit.runtime.together import paired_ratio


def test_latency_and_memory_in_a_clean_process(files):
    found = measure(files["w8a8"], runs=60, warmup=3)
    latency = found.latency
    assert (latency.runs, latency.threads) == (60, 1)
    assert 0 < latency.p10 <= latency.median <= latency.p90 < 100
    assert 0 < found.peak_memory_bytes < 100e6
    assert found.open_ms > 0


def test_by_default_enough_runs(files):
    assert measure(files["float32"], threads=2).latency.runs >= 50


def test_in_turns_with_ratios_to_one_of_them(files, tmp_path):
    (tmp_path / "bad.tflite").write_bytes(BAD["without its end"](files["w8a8"].read_bytes()))
    (tmp_path / "crash.tflite").write_bytes(_crashing(files["float32"].read_bytes()))
    asked = {name: files[name] for name in ("float32", "w8a16")}
    asked |= {name: tmp_path / f"{name}.tflite" for name in ("bad", "crash")} | {"again": files["float32"]}
    found = measure_together(asked, reference="float32")
    assert list(found) == list(asked)
    assert isinstance(found["bad"], FileFormatError) and "crashed on it (SIG" in str(found["crash"])
    assert found["float32"].ratio is None
    slow, same = found["w8a16"].ratio, found["again"].ratio
    assert (slow.reference, slow.rounds, same.rounds) == ("float32", 20, 20)
    assert slow.ci95[0] <= slow.value <= slow.ci95[1]
    assert slow.value > 2 and same.value < 2  # 16-bit activations run in reference kernels


@pytest.mark.parametrize(("runs", "processes"), [(20, 4), (7, 2), (1, 1)])
def test_a_file_has_several_processes_as_far_as_there_are_runs_for_them(files, monkeypatch, runs, processes):
    begun = []
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **how: begun.append(words) or start(*words, **how))
    found = measure_together({"float32": files["float32"], "w8a8": files["w8a8"]}, runs=runs, reference="float32")
    assert len(begun) == 2 * processes
    assert (found["w8a8"].latency.runs, found["w8a8"].ratio.rounds) == (runs, runs)


def test_a_file_that_is_changed_meanwhile_is_refused(files, tmp_path, monkeypatch):
    path = tmp_path / "it.tflite"
    path.write_bytes(files["w8a8"].read_bytes())

    def measured_and_changed(paths, **how):
        found = measure_together(paths, **how)
        path.write_bytes(files["float32"].read_bytes())
        return found

    monkeypatch.setattr(device, "measure_together", measured_and_changed)
    with pytest.raises(FileFormatError, match=r"it\.tflite: it was changed while it was measured"):
        device.measure_here([path], runs=2)


def test_a_signal_without_a_name():
    with pytest.raises(FileFormatError, match="crashed on it .signal 35."):
        clean.worker_answer("it.tflite", "", -35, "")


def test_no_ratios_to_a_file_that_cannot_run(files, tmp_path):
    (tmp_path / "bad.tflite").write_bytes(b"")
    found = measure_together({"bad": tmp_path / "bad.tflite", "good": files["w8a8"]}, reference="bad", runs=3)
    assert found["good"].ratio is None and found["good"].latency.runs == 3


def test_the_interval_of_a_ratio_by_hand():
    value, (low, high) = paired_ratio([2.0, 2.0, 2.0, 8.0], [1.0, 1.0, 2.0, 2.0])  # ratios 2, 2, 1, 4
    assert value == 2.0 and low == 1.0 and high == 4.0


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"runs": 0}, {"warmup": -1}])
def test_numbers_below_one(files, wrong):
    with pytest.raises(InputError, match="1 or more"):
        measure(files["float32"], **wrong)


def test_a_good_file_passes_whatever_its_type(files):
    for path in files.values():
        check_file(path)


BAD = {
    "empty": lambda good: b"",
    "text": lambda good: b"hello, this is a text and no model\n" * 50,
    "random": lambda good: np.random.default_rng(0).bytes(5000),
    "random after the mark": lambda good: good[:8] + np.random.default_rng(0).bytes(5000),
    "truncated": lambda good: good[: len(good) // 2],
    "without its end": lambda good: good[:-10],
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files(files, tmp_path, kind):
    path = tmp_path / "bad.tflite"
    path.write_bytes(BAD[kind](files["w8a8"].read_bytes()))
    with pytest.raises(FileFormatError, match=r"bad\.tflite: .*expected a whole \.tflite file"):
        check_file(path)
    with pytest.raises(FileFormatError, match=r"bad\.tflite"):
        measure(path, runs=1)


def test_a_native_crash_is_an_error_not_the_end(files, tmp_path):
    """A convolution without weights passes LiteRT's verifier and ends the process that opens it."""
    path = tmp_path / "crash.tflite"
    path.write_bytes(_crashing(files["float32"].read_bytes()))
    for survive in (check_file, measure):
        with pytest.raises(FileFormatError, match=r"crash\.tflite: LiteRT crashed on it \(SIG"):
            survive(path)


def _crashing(content):
    from ai_edge_litert import schema_py_generated as flatbuffer

    op = flatbuffer.Model.GetRootAs(content, 0).Subgraphs(0).Operators(0)
    inputs = op._tab.Vector(op._tab.Offset(6))
    broken = bytearray(content)
    struct.pack_into("<i", broken, inputs + 4, -1)
    return bytes(broken)


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "none.tflite", tmp_path):
        with pytest.raises(FileFormatError, match=str(path)):
            check_file(path)


def test_a_file_that_does_not_end(files, monkeypatch):
    monkeypatch.setattr(clean, "CHECK_LIMIT_SECONDS", 0.001)
    with pytest.raises(FileFormatError, match="did not end within"):
        check_file(files["float32"])


@pytest.mark.parametrize(
    "code",
    [
        "import lowbit.runtime",
        "from lowbit.runtime import inspect, predict; import numpy; inspect(PATH); "
        "predict(PATH, [numpy.zeros((3, 12, 12, 3), 'float32')])",
        "import sys; sys.argv = ['worker', PATH, '--warmup', '2']; import lowbit.runtime.worker as w; w.main()",
    ],
)
def test_neither_keras_nor_tensorflow_is_loaded(files, code):
    program = (
        f"PATH = {str(files['w8a8'])!r}\n{code}\nimport sys\n"
        "found = {name.split('.')[0] for name in sys.modules}\n"
        "sys.exit(str(found & {'keras', 'tensorflow', 'jax', 'torch', 'matplotlib', 'rich', 'PIL', 'scipy'} or ''))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=clean.worker_environment(),
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.stderr.replace("INFO: Created TensorFlow Lite XNNPACK delegate for CPU.", "").strip() == ""
