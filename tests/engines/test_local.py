# SPDX-License-Identifier: Apache-2.0
"""What runs, what is reused, what runs again: counted by the marks that jobs leave."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lowbit import engines
from lowbit.engines import Job, JobEvent, local
from lowbit.errors import InputError

JOBS = "engine_jobs"  # the module beside this file
HERE = Path(__file__).parent


class Bench:
    """A chain a -> b -> c and a lone d, in one folder; `ran()` tells what ran since last asked."""

    def __init__(self, place: Path) -> None:
        self.folder, self.log = place / "run", place / "log.txt"
        self.texts = {"a": "A", "b": "B", "c": "C", "d": "D"}

    def write(self, name: str, *needs: str) -> Job:
        inputs = [f"out/{need}.txt" for need in needs]
        arguments = {"log": str(self.log), "path": f"out/{name}.txt", "text": self.texts[name], "inputs": inputs}
        return Job(name=name, function=f"{JOBS}:write", arguments=arguments, needs=needs, outputs=(f"out/{name}.txt",))

    def jobs(self) -> list[Job]:
        return [self.write("a"), self.write("b", "a"), self.write("c", "b"), self.write("d")]

    def run(self, jobs: list[Job] | None = None, **options: object) -> dict[str, engines.JobResult]:
        return local.run(jobs or self.jobs(), self.folder, **options)  # type: ignore[arg-type]

    def ran(self) -> list[str]:
        words = self.log.read_text().split() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return words


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.syspath_prepend(HERE)
    return Bench(tmp_path)


def test_all_jobs_run_once_in_order_and_then_are_reused(bench: Bench) -> None:
    first = bench.run()
    assert bench.ran() == ["a", "b", "c", "d"]
    assert (bench.folder / "out/c.txt").read_text() == "CBA"
    assert first["a"].value == {"characters": 1} and not first["a"].cached
    again = bench.run()
    assert bench.ran() == []
    assert all(result.cached and result.ok for result in again.values())
    assert [(r.value, r.outputs, r.seconds) for r in again.values()] == [
        (r.value, r.outputs, r.seconds) for r in first.values()
    ]


def test_a_deleted_file_runs_its_own_job_only(bench: Bench) -> None:
    bench.run()
    bench.ran()
    (bench.folder / "out/a.txt").unlink()
    bench.run()
    assert bench.ran() == ["a"]  # the same bytes again, so b and c stay


def test_a_flipped_byte_is_noticed_and_mended(bench: Bench) -> None:
    bench.run()
    bench.ran()
    (bench.folder / "out/b.txt").write_text("bA")
    bench.run()
    assert bench.ran() == ["b"]
    assert (bench.folder / "out/b.txt").read_text() == "BA"


def test_a_changed_argument_runs_the_job_and_all_that_read_its_new_bytes(bench: Bench) -> None:
    bench.run()
    bench.ran()
    bench.texts["b"] = "X"
    bench.run()
    assert bench.ran() == ["b", "c"]
    assert (bench.folder / "out/c.txt").read_text() == "CXA"


def test_other_circumstances_run_everything_again(bench: Bench) -> None:
    bench.run(circumstances={"keras": "3.15.1"})
    bench.run(circumstances={"keras": "3.15.1"})
    assert bench.ran() == ["a", "b", "c", "d"]
    bench.run(circumstances={"keras": "3.16.0"})
    assert bench.ran() == ["a", "b", "c", "d"]


def test_a_moved_place_is_no_other_argument(bench: Bench, tmp_path: Path) -> None:
    def job(log: Path, text: str) -> Job:
        return Job(
            name="a", function=f"{JOBS}:write", arguments={"text": text, "path": "out/a.txt"},
            places={"log": str(log)}, outputs=("out/a.txt",),
        )  # fmt: skip

    bench.run([job(bench.log, "A")])
    assert bench.run([job(tmp_path / "elsewhere.txt", "A")])["a"].cached
    assert not bench.run([job(tmp_path / "elsewhere.txt", "B")])["a"].cached


def test_fresh_starts_over(bench: Bench) -> None:
    bench.run()
    bench.ran()
    bench.run(fresh=True)
    assert bench.ran() == ["a", "b", "c", "d"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"version": 99}', '{"version": 1, "key": "k"}'])
def test_a_damaged_record_is_as_good_as_none(bench: Bench, damage: str) -> None:
    bench.run()
    bench.ran()
    (bench.folder / ".jobs/records/d.json").write_text(damage)
    bench.run()
    assert bench.ran() == ["d"]


def test_a_failed_job_fails_its_dependents_only_and_is_tried_again(bench: Bench) -> None:
    jobs = [Job(name="a", function=f"{JOBS}:crash", outputs=("out/a.txt",)), *bench.jobs()[1:]]
    results = bench.run(jobs)
    assert bench.ran() == ["d"]
    assert [r.status for r in results.values()] == ["failed", "failed", "failed", "ok"]
    assert results["a"].reason == "KeyError: 'no such\\nlayer'"
    assert results["c"].reason == results["b"].reason == f"needs a: {results['a'].reason}"
    record = json.loads((bench.folder / ".jobs/records/a.json").read_text())
    assert "engine_jobs.py" in record["traceback"]
    assert not bench.run(jobs)["a"].cached
    bench.run()
    assert bench.ran() == ["a", "b", "c"]


def test_unsupported_is_remembered_and_its_dependents_are_unsupported(bench: Bench) -> None:
    jobs = [Job(name="a", function=f"{JOBS}:unsupported", outputs=("out/a.txt",)), *bench.jobs()[1:]]
    results = bench.run(jobs)
    assert [r.status for r in results.values()] == ["unsupported", "unsupported", "unsupported", "ok"]
    assert results["b"].reason == "needs a: received a loaded model; expected a zoo name; leave this recipe out"
    assert bench.run(jobs)["a"].cached


def test_the_exception_of_this_process_comes_with_the_result(bench: Bench) -> None:
    results = bench.run(
        [Job(name="a", function=f"{JOBS}:refuse"), Job(name="b", function=f"{JOBS}:refuse", needs=("a",))]
    )
    assert isinstance(results["a"].error, InputError) and results["b"].error is results["a"].error


def test_an_essential_job_stops_the_run_with_its_error_each_time(bench: Bench) -> None:
    for function, error in (("refuse", "epochs=0"), ("unsupported", "a loaded model")):
        for _ in range(2):
            with pytest.raises(InputError, match=error):
                bench.run([Job(name="a", function=f"{JOBS}:{function}", essential=True), bench.write("d")])
    assert bench.ran() == []


def test_wants_runs_though_they_failed_and_again_when_they_succeed(bench: Bench) -> None:
    def collect() -> Job:
        return Job(
            name="d", function=f"{JOBS}:write", wants=("a",), outputs=("out/d.txt",),
            arguments={"log": str(bench.log), "path": "out/d.txt", "text": "D"},
        )  # fmt: skip

    assert bench.run([Job(name="a", function=f"{JOBS}:crash", outputs=("out/a.txt",)), collect()])["d"].ok
    assert bench.ran() == ["d"]
    bench.run([bench.write("a"), collect()])
    assert bench.ran() == ["a", "d"]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("forget_output", "ended without writing its output 'out/a.txt'"),
        ("value_not_json", "ValueError: Out of range float values are not JSON compliant"),
        ("read_undeclared", "'secret.txt' is not among the outputs of the needed jobs"),
        ("missing_function", "AttributeError: .*missing_function"),
    ],
)
def test_a_job_that_breaks_its_contract_fails_with_the_reason(bench: Bench, function: str, reason: str) -> None:
    result = bench.run([Job(name="a", function=f"{JOBS}:{function}", outputs=("out/a.txt",))])["a"]
    assert result.status == "failed"
    with pytest.raises(RuntimeError, match=reason):
        raise RuntimeError(result.reason)
    assert not (bench.folder / "out").exists()


def test_an_interrupt_passes_and_keeps_what_is_done(bench: Bench) -> None:
    with pytest.raises(KeyboardInterrupt):
        bench.run([bench.write("a"), Job(name="b", function=f"{JOBS}:interrupt")])
    assert list((bench.folder / ".jobs/staging").iterdir()) == []
    bench.run()
    assert bench.ran() == ["a", "b", "c", "d"]


def test_kill_9_half_way_leaves_no_half_file_and_the_run_resumes(bench: Bench, tmp_path: Path) -> None:
    flag = str(tmp_path / "died")
    arguments = {"path": "out/b.txt", "flag": flag}
    jobs = [
        bench.write("a"),
        Job(name="b", function=f"{JOBS}:die_half_way", arguments=arguments, needs=("a",), outputs=("out/b.txt",)),
    ]
    program = (
        "import sys, json; from lowbit.engines import Job, local;"
        "local.run([Job(**{**j, 'needs': tuple(j['needs']), 'outputs': tuple(j['outputs'])})"
        " for j in json.loads(sys.argv[1])], sys.argv[2])"
    )
    plain = [
        {"name": j.name, "function": j.function, "arguments": dict(j.arguments), "needs": j.needs, "outputs": j.outputs}
        for j in jobs
    ]
    path = os.pathsep.join(filter(None, [str(HERE), *sys.path]))
    command = [sys.executable, "-c", program, json.dumps(plain), str(bench.folder)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == -9 and Path(flag).exists()
    assert not (bench.folder / "out/b.txt").exists()
    assert bench.ran() == ["a"]
    results = bench.run(jobs)
    assert bench.ran() == [] and results["a"].cached
    assert (bench.folder / "out/b.txt").read_text() == "first half,second half"
    assert list((bench.folder / ".jobs/staging").iterdir()) == []


def test_a_full_disk_stops_the_run_with_advice_and_keeps_what_is_done(bench: Bench) -> None:
    with pytest.raises(InputError, match="No space left.*free some space"):
        bench.run([bench.write("a"), Job(name="b", function=f"{JOBS}:disk_full"), bench.write("d")])
    assert bench.ran() == ["a"]
    bench.run()
    assert bench.ran() == ["b", "c", "d"]


def test_a_folder_in_use_is_refused(bench: Bench) -> None:
    seen = []

    def while_running(event: JobEvent) -> None:
        if event.kind == "started" and event.job == "a":
            with pytest.raises(InputError, match="no other run"):
                bench.run()
            seen.append(event.job)

    bench.run(on_event=while_running)
    assert seen == ["a"]


def test_events_tell_what_happens(bench: Bench) -> None:
    events: list[JobEvent] = []
    bench.run([bench.write("a")], on_event=events.append)
    assert [(e.kind, e.job, e.index, e.total) for e in events] == [
        ("started", "a", 1, 1),
        ("progress", "a", 1, 1),
        ("finished", "a", 1, 1),
    ]
    assert events[1].detail == {"read": 0} and events[2].result is not None and events[2].result.ok
    events.clear()
    bench.run([bench.write("a")], on_event=events.append)
    assert [e.kind for e in events] == ["cached"]


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ([Job(name="a", function="m:f"), Job(name="a", function="m:f")], "two jobs are named 'a'"),
        ([Job(name="a", function="m:f", needs=("b",)), Job(name="b", function="m:f")], "depends on .'b'."),
        (
            [Job(name="a", function="m:f", outputs=("x",)), Job(name="b", function="m:f", outputs=("x",))],
            "'a' and 'b' both write 'x'",
        ),
    ],
)
def test_a_wrong_graph_is_refused_before_anything_is_touched(tmp_path: Path, jobs: list[Job], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        local.run(jobs, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_unknown_engines_are_named_with_the_closest() -> None:
    assert engines.get("local") is local.run
    with pytest.raises(InputError, match="engine 'locl'.*did you mean 'local'"):
        engines.get("locl")
