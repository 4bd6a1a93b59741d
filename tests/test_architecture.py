"""The shape of the code: one direction of imports, and what has no place in the package."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import pol_jax

ROOT = Path(pol_jax.__file__).parent
MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}
CORE = sorted(name for name in MODULES if name.count(".") == 1 and MODULES[name].parent == ROOT)

OUTPUT = sorted(name for name in MODULES if name.startswith("pol_jax.html"))

OUTSIDE = {"click", "rich", "plotext", "matplotlib", "flax", "optax", "tensorflow_datasets", "sklearn", "PIL"}
"""For the command line, plots, tasks; the core has no use for them."""

SYSTEM_CALLS = {"pol_jax.landlock", "pol_jax.seccomp", "pol_jax.capabilities"}
"""May use ctypes, for calls that Python has no name for; none of them reads a proof."""

RUNS_ANYTHING = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "runpy", "code", "ctypes"}
"""What turns data into code; no proof may reach it."""


def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def imports(module: str, *, lazy: bool = True, typing: bool = True) -> Iterator[str]:
    """Full names of what a module imports, names in packages included; there are no relative imports.

    Args:
        module: whose.
        lazy: also what it imports in functions.
        typing: also what it imports for type checkers only.
    """
    pending: list[ast.AST] = [tree_of(module)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not typing:
            pending += node.orelse
        elif lazy or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            pending += ast.iter_child_nodes(node)


def own(name: str) -> str | None:
    """The module of the package that an imported name is, or is from."""
    while name not in MODULES and "." in name:
        name = name.rpartition(".")[0]
    return name if name in MODULES and name != "pol_jax" else None


def test_the_modules_are_found() -> None:
    assert {"pol_jax.encoding", "pol_jax.verifier", "pol_jax.program"} <= set(CORE)
    assert {"pol_jax.tasks.digits", "pol_jax.cli.main", "pol_jax.html.page"} <= MODULES.keys() - set(CORE)
    assert "pol_jax.encoding" in map(own, imports("pol_jax.merkle"))


@pytest.mark.parametrize("module", CORE)
def test_core_imports_neither_command_line_nor_tasks_nor_their_libraries(module: str) -> None:
    for name in imports(module):
        outside = ("pol_jax.cli", "pol_jax.tasks", "pol_jax.html", "pol_jax.backends")
        assert not name.startswith(outside), f"{module} imports {name}"
        assert name.split(".")[0] not in OUTSIDE, f"{module} imports {name}"


@pytest.mark.parametrize("module", sorted(name for name in MODULES if name.startswith("pol_jax.tasks")))
def test_tasks_import_no_output(module: str) -> None:
    assert not any(name.startswith(("pol_jax.cli", "pol_jax.html", "pol_jax.backends")) for name in imports(module))


@pytest.mark.parametrize("module", OUTPUT)
def test_pages_are_made_of_reports_alone(module: str) -> None:
    """A page reads what the report says: no proof, no jax, no library; the command line imports it, not it that."""
    allowed = {f"pol_jax.{name}" for name in ("report", "tolerance", "wording", "challenge", "errors")}
    for name in imports(module):
        if name.startswith("pol_jax"):
            assert own(name) in allowed | set(OUTPUT), f"{module} imports {name}"
        else:
            assert name.split(".")[0] in sys.stdlib_module_names, f"{module} imports {name}"


@pytest.mark.parametrize("module", sorted(name for name in MODULES if name.startswith("pol_jax.backends")))
def test_comparisons_import_the_core_and_no_other_output(module: str) -> None:
    """`worker` imports nothing of the package: it runs under interpreters that have jax alone."""
    for name in imports(module):
        assert not name.startswith(("pol_jax.cli", "pol_jax.html", "pol_jax.tasks")), f"{module} imports {name}"
        if module == "pol_jax.backends.worker":
            library = name.split(".")[0]
            assert library in {"jax", "jaxlib", "numpy"} | sys.stdlib_module_names, f"{module} imports {name}"


def test_imports_have_one_direction() -> None:
    graph = {
        module: {found for name in imports(module, lazy=False, typing=False) if (found := own(name))} - {module}
        for module in MODULES
    }
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError
    assert order.index("pol_jax.encoding") < order.index("pol_jax.ledger") < order.index("pol_jax.verifier")


def test_imports_have_one_direction_in_functions_too() -> None:
    graph = {module: {found for name in imports(module) if (found := own(name))} - {module} for module in MODULES}
    graph["pol_jax"] = set()  # its names are for those outside
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module", MODULES)
def test_nothing_turns_data_into_code(module: str) -> None:
    found = {name.split(".")[0] for name in imports(module)} & RUNS_ANYTHING
    found -= {"ctypes"} if module in SYSTEM_CALLS else set()
    assert not found, f"{module} imports {found}"
    calls = [node for node in ast.walk(tree_of(module)) if isinstance(node, ast.Call)]
    names = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
    assert not names & {"eval", "exec", "compile", "__import__", "input"}, f"{module} calls {names}"
    for call in calls:
        for option in call.keywords:
            assert option.arg != "allow_pickle", f"{module}: line {call.lineno}"
            assert option.arg != "shell", f"{module}: line {call.lineno}"


def test_files_are_named_for_what_they_hold() -> None:
    nondescript = {"utils", "util", "common", "helpers", "misc", "core", "base", "types"}
    assert not nondescript & {part for module in MODULES for part in module.split(".")}


def test_only_one_module_hashes() -> None:
    """Every byte layout that is hashed is in `pol_jax.encoding`."""
    hashing = {module for module in MODULES for name in imports(module) if name.split(".")[0] in {"blake3", "hashlib"}}
    assert hashing == {"pol_jax.encoding"}


def test_rules_of_the_verdict_do_no_input_or_output() -> None:
    names = ("verdict", "initial", "encoding", "merkle", "order", "challenge", "sampling", "curves", "wording", "norms")
    for module in (f"pol_jax.{name}" for name in names):
        touched = {name.split(".")[0] for name in imports(module)} & {"os", "io", "pathlib", "socket", "subprocess"}
        assert not touched, f"{module} imports {touched}"


def test_confinement_comes_before_threads() -> None:
    """What restricts the child is imported before anything that starts threads, or that could fail to be there."""
    pending, seen = ["pol_jax.confinement"], set[str]()
    while pending:
        for name in imports(pending.pop()):
            module = own(name)
            assert module or name.split(".")[0] in sys.stdlib_module_names, name
            pending += {module} - seen if module else ()
            seen |= {module} if module else set()
    assert seen == SYSTEM_CALLS


def test_the_verifier_needs_no_library_of_a_task() -> None:
    """What is imported to verify, not only what is written in the core's files."""
    code = (
        "import sys\n"
        "import pol_jax\n"
        "assert 'jax' not in sys.modules, 'import pol_jax costs jax'\n"
        "pol_jax.verify, pol_jax.train\n"
        f"print(sorted({OUTSIDE!r} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout == "[]\n", result.stdout + result.stderr
