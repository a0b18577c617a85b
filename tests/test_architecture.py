# SPDX-License-Identifier: Apache-2.0
"""The rooms of lowbit and who may import whom: docs/decisions/0002-rooms.md, held over the syntax trees of `src`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "lowbit"
LONGEST_FILE = 350

# From the bottom up. A room may import itself and the rooms named here, nothing else of lowbit.
BOTTOM = {"errors", "files", "records"}
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "files": {"errors"},
    "records": {"errors"},
    "spec": {"errors"},
    "results": {"spec", *BOTTOM},
    "card": BOTTOM,
    "quantizers": {"errors", "spec"},
    "graph": {"errors", "spec"},
    "data": BOTTOM,
    "zoo": {"card", *BOTTOM},
    "runtime": {"results", *BOTTOM},
    "simulation": {"spec", "results", "quantizers", "graph", *BOTTOM},
    "training": {"spec", "results", *BOTTOM},
    "qat": {"spec", "results", "quantizers", "graph", "simulation", "training", *BOTTOM},
    "export": {"spec", "results", "quantizers", "graph", "simulation", "runtime", *BOTTOM},
}
ROOMS["recipes"] = {*ROOMS} - {"data", "zoo"}  # takes any batches and any model
ROOMS["engines"] = BOTTOM  # knows nothing of quantization
ROOMS["report"] = {"results", *BOTTOM}
ROOMS["compare"] = {*ROOMS}
ROOMS["cli"] = {*ROOMS}
ROOMS["__init__"] = {*ROOMS, "_registration"} - {"cli"}
ROOMS["_registration"] = {"simulation"}  # a part of the front door

# Heavy packages: the rooms or files that may import them.
HEAVY = {
    "keras": ("quantizers/", "graph/", "zoo/", "simulation/", "training/", "qat.py", "export/", "recipes/", "compare/"),
    "tensorflow": ("export/", "data/tfds_sets.py", "quantizers/fused.py"),
    "tensorflow_datasets": ("data/tfds_sets.py",),
    "litert_quantizer": ("export/",),
    "ai_edge_litert": ("runtime/", "export/"),
    "ray": ("engines/ray.py",),
    "matplotlib": ("report/",),
    "typer": ("cli/",),
}
LAZY = ("report/plot.py",)
CATCHES_ALL = ("engines/local.py",)  # whatever a library raises fails its row, and the other rows go on


def files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def place(path: Path) -> str:
    """The path inside the package, `export/write.py`."""
    return path.relative_to(SOURCE).as_posix()


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Every module that a tree names: in import statements, and as text that `import_module` could be given."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "lowbit":
            yield from ((node, f"lowbit.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, "." * node.level + (node.module or "")
        elif isinstance(node, ast.Constant) and re.fullmatch(r"lowbit\.\w+(\.\w+)*(:\w+)?", str(node.value)):
            yield node, str(node.value).partition(":")[0]


@pytest.mark.parametrize("path", files(), ids=place)
def test_a_file_imports_only_what_its_room_may(path: Path) -> None:
    assert room(path) in ROOMS, f"room {room(path)!r} is not in the table"
    for node, module in imported(ast.parse(path.read_text())):
        parts = module.split(".")
        if parts[0] == "lowbit" and len(parts) > 1 and parts[1] != "__version__":
            allowed = ROOMS[room(path)] | {room(path)}
            assert parts[1] in allowed, f"{place(path)}:{node.lineno} imports {module}"
        assert parts[0], f"{place(path)}:{node.lineno} imports relatively"
        permitted = HEAVY.get(parts[0])
        if permitted is not None:
            assert place(path).startswith(permitted), f"{place(path)}:{node.lineno} imports {module}"


@pytest.mark.parametrize("path", files(), ids=place)
def test_nothing_private_is_taken_from_another_file(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lowbit"):
            private = [alias.name for alias in node.names if alias.name.startswith("_") and alias.name[:2] != "__"]
            assert not private, f"{place(path)}:{node.lineno} takes {private} from {node.module}"


@pytest.mark.parametrize("path", files(), ids=place)
def test_own_modules_are_imported_at_the_top(path: Path) -> None:
    """But where laziness is the point: each command of `cli` loads the rooms it needs, plots load matplotlib."""
    if room(path) == "cli" or place(path) in LAZY:
        return
    for outer in ast.walk(ast.parse(path.read_text())):
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(outer):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    own = [module for _, module in imported(node) if module.startswith("lowbit")]
                    assert not own, f"{place(path)}:{node.lineno} imports {own} inside {outer.name}"


@pytest.mark.parametrize("path", files(), ids=place)
def test_no_print_assert_exit_or_blind_except(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        where = f"{place(path)}:{getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.Assert), f"{where} asserts"
        if isinstance(node, ast.ExceptHandler) and place(path) not in CATCHES_ALL:
            caught = "" if node.type is None else ast.unparse(node.type)
            hides = caught in ("", "Exception", "BaseException") and not isinstance(node.body[-1], ast.Raise)
            assert not hides, f"{where} catches everything"
        if isinstance(node, ast.Call) and room(path) != "cli":
            called = ast.unparse(node.func)
            assert called not in ("print", "sys.exit", "exit", "quit", "SystemExit"), f"{where} calls {called}"


def test_every_file_names_its_licence_and_is_short() -> None:
    for folder in ("src", "tests", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text()
            assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n"), f"{path} names no licence"
            assert text.count("\n") <= LONGEST_FILE, f"{path} has {text.count(chr(10))} lines"


def test_the_table_has_no_room_that_is_gone() -> None:
    assert {room(path) for path in files()} == set(ROOMS)
