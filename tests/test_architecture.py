# SPDX-License-Identifier: Apache-2.0
"""The rooms of lowbit and who may import whom: docs/decisions/0002-rooms.md, held over the syntax trees of `src`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "lowbit"
LONGEST_FILE = 350

# From the bottom up. A room may import itself and the rooms named here, nothing else of lowbit.
BOTTOM = {"errors", "files", "functions", "outputs", "records"}
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "files": {"errors"},
    "functions": {"errors"},
    "outputs": {"errors"},
    "records": {"errors"},
    "spec": {"errors"},
    "results": {"spec", *BOTTOM},
    "card": BOTTOM,
    "quantizers": {"errors", "spec"},
    "graph": {"errors", "spec"},
    "data": BOTTOM,
    "zoo": {"card", *BOTTOM},
    "runtime": {"results", "card", *BOTTOM},
    "simulation": {"spec", "results", "quantizers", "graph", *BOTTOM},
    "training": {"spec", "results", *BOTTOM},
    "qat": {"spec", "results", "quantizers", "graph", "simulation", "training", *BOTTOM},
    "export": {"spec", "results", "card", "quantizers", "graph", "simulation", "runtime", *BOTTOM},
}
ROOMS["recipes"] = {*ROOMS} - {"data", "zoo"}  # takes any batches and any model
ROOMS["engines"] = BOTTOM  # knows nothing of quantization
ROOMS["report"] = {"results", *BOTTOM}
ROOMS["compare"] = {*ROOMS}
ROOMS["studies"] = {*ROOMS}
ROOMS["cli"] = {*ROOMS}
ROOMS["__init__"] = {*ROOMS, "_registration"} - {"cli"}
ROOMS["_registration"] = {"simulation"}  # a part of the front door

# Heavy packages: the rooms or files that may import them.
HEAVY = {
    "keras": (
        "quantizers/", "graph/", "zoo/", "simulation/", "training/", "qat/", "export/", "recipes/", "compare/",
        "studies/",
    ),
    "tensorflow": (
        "export/template.py", "export/direct.py", "data/tfds_sets.py", "quantizers/on_tensorflow.py",
        "quantizers/replicas.py",
    ),
    "jax": ("quantizers/on_jax.py",),
    "jaxlib": (),
    "torch": ("quantizers/on_torch.py",),
    "tensorflow_datasets": ("data/tfds_sets.py",),
    "litert_quantizer": ("export/",),
    "ai_edge_litert": ("runtime/", "export/"),
    "ray": ("engines/ray.py",),
    "matplotlib": ("report/",),
    "plotly": ("report/page.py",),
    "jinja2": ("report/page.py",),
    "typer": ("cli/",),
    "yaml": ("spec/rules_file.py",),  # not on a device that only measures
}
# What they load is not there, or not needed.
LAZY = ("export/content.py", "report/movement.py", "report/page.py", "report/plot.py")
OWN_COMMANDS = ("runtime/__main__.py",)  # where there is no cli: a device with NumPy and LiteRT alone
CATCHES_ALL = ("engines/local.py",)  # whatever a library raises fails its row, and the other rows go on


def files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def place(path: Path) -> str:
    """The path inside the package, `export/write.py`."""
    return path.relative_to(SOURCE).as_posix()


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[tuple[ast.stmt | ast.expr, str]]:
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


def test_a_file_imports_only_what_its_room_may() -> None:
    problems = []
    for path in files():
        allowed = ROOMS.get(room(path), set()) | {room(path), "__version__"}
        for node, module in imported(ast.parse(path.read_text())):
            package, _, rest = module.partition(".")
            own = package == "lowbit" and bool(rest)
            heavy = package in HEAVY and not place(path).startswith(HEAVY[package])
            if not package or heavy or (own and rest.split(".")[0] not in allowed):
                problems.append(f"{place(path)}:{node.lineno} imports {module}")
    assert not problems, "\n".join(problems)


def test_nothing_private_is_taken_from_another_file() -> None:
    problems = []
    for path in files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lowbit"):
                private = [alias.name for alias in node.names if re.match("_[^_]", alias.name)]
                problems += [f"{place(path)}:{node.lineno} takes {name} from {node.module}" for name in private]
    assert not problems, "\n".join(problems)


def test_own_modules_are_imported_at_the_top() -> None:
    """But where laziness is the point: commands load their rooms, plots load matplotlib, the converter TensorFlow."""
    problems = []
    for path in files():
        if room(path) == "cli" or place(path) in LAZY:
            continue
        functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
        inside = [node for outer in functions for node in ast.walk(outer)]
        for node in inside:
            if isinstance(node, ast.Import | ast.ImportFrom):
                own = [module for _, module in imported(node) if module.startswith("lowbit")]
                problems += [f"{place(path)}:{node.lineno} imports {module} inside a function" for module in own]
    assert not problems, "\n".join(problems)


def test_no_print_assert_exit_or_blind_except() -> None:
    problems = []
    for path in files():
        for node in ast.walk(ast.parse(path.read_text())):
            if wrong := _forbidden(node, path):
                problems.append(f"{place(path)}:{node.lineno} {wrong}")
    assert not problems, "\n".join(problems)


def _forbidden(node: ast.AST, path: Path) -> str | None:
    if isinstance(node, ast.Assert):
        return "asserts"
    if isinstance(node, ast.ExceptHandler) and place(path) not in CATCHES_ALL:
        caught = "" if node.type is None else ast.unparse(node.type)
        if caught in ("", "Exception", "BaseException") and not isinstance(node.body[-1], ast.Raise):
            return "hides every error"
    if isinstance(node, ast.Call) and room(path) != "cli" and place(path) not in OWN_COMMANDS:
        called = ast.unparse(node.func)
        if called in ("print", "sys.exit", "exit", "quit", "SystemExit"):
            return f"calls {called}"
    return None


def test_every_file_names_its_licence_and_is_short() -> None:
    for folder in ("src", "tests", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text()
            assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n"), f"{path} names no licence"
            assert text.count("\n") <= LONGEST_FILE, f"{path} has {text.count(chr(10))} lines"


def test_the_table_has_no_room_that_is_gone() -> None:
    assert {room(path) for path in files()} == set(ROOMS)
