"""The shape of the code: one direction of imports, and what has no place in the package."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import defaultdict
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import pol_jax

ROOT = Path(pol_jax.__file__).parent
TESTS = Path(__file__).parent
SCRIPTS = TESTS.parent / "scripts"
MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}
PACKAGES = {
    "ground": "",
    "protocol": "ground",
    "attesting": "ground protocol",
    "program": "ground protocol",
    "exact": "ground",
    "training": "ground protocol program exact",
    "storage": "ground protocol attesting program training",
    "reports": "ground protocol attesting",
    "judging": "ground protocol reports",
    "verifying": "ground protocol attesting program exact training storage reports judging",
    "proving": "ground protocol attesting program exact training storage judging verifying",
    "sandbox": "ground protocol attesting program training storage reports judging verifying",
    "workers": "ground protocol attesting program training storage reports judging verifying proving sandbox",
    "backends": "ground protocol program training judging verifying",
    "integrations": "ground protocol attesting training storage reports verifying proving sandbox workers",
    "tasks": "ground training",
    "attacks": "ground protocol attesting program training storage reports judging verifying proving",
    "html": "reports",
    "cli": "ground protocol training storage reports judging verifying proving sandbox attesting backends integrations"
    " attacks",
}
"""Which packages each package may import, itself left out; in the order in which they are read.

``ground`` are the modules beside the packages that import nothing else of ours: those of `GROUND`.
"""

GROUND = {"array_types", "errors", "files", "garbage", "progress"}

WITHOUT_IO = ("protocol", "reports", "judging")
"""Packages of rules: they touch no file, process or socket."""

OUTSIDE = {
    "click",
    "rich",
    "plotext",
    "matplotlib",
    "flax",
    "optax",
    "tensorflow_datasets",
    "sklearn",
    "PIL",
    "ray",
    "flwr",
}
"""For the command line, plots, tasks, engines; the core has no use for them."""

FREE = ("pol_jax.cli", "pol_jax.tasks", "pol_jax.backends", "pol_jax.integrations")
"""Packages that may use libraries of `OUTSIDE`."""

SYSTEM_CALLS = {f"pol_jax.sandbox.{name}" for name in ("landlock", "seccomp", "capabilities", "loopback")}
"""May use ctypes, for calls that Python has no name for; none of them reads a proof. They confine this process."""

CALLS_OF_C = SYSTEM_CALLS | {"pol_jax.training.freed_memory"}
"""May use ctypes too, for a call of the C library without arguments that come from anywhere."""

MOST_LINES = 45
"""Of a function."""

MOST_LINES_OF_A_FILE = 300

MOST_PARAMETERS = 7

MANY_PARAMETERS = {
    "pol_jax.workers.verify_update.verify_update",  # what coordinators call: they leave most parameters out
    "pol_jax.cli.attestation_commands.check",  # click calls it with one parameter an option
}
"""Functions that may have more parameters than `MOST_PARAMETERS`."""

ONE_CONCEPT = {
    "Data",  # of a worker, which `pol_jax` offers under this name, and of a run in the report's schema
    "State",  # of each built-in task; users copy one file
    "schedule",  # likewise
    "serve",  # what a confined process does, in both of its kinds (`pol_jax.sandbox.starting`)
}
"""Types and public functions that several modules define under one name."""

NO_NAMES_OF_VARIABLES = {"of", "there", "came", "mine", "false"}
"""Words that say nothing of what a variable holds."""

TESTED_ELSEWHERE = {
    "judging/test_tie_distances.py": "protocol.ties",
}
"""Modules without a test file of their name, by the file that tests what they do."""

RUNS_ANYTHING = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "runpy", "code", "ctypes"}
"""What turns data into code; no proof may reach it."""


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


@cache
def nodes_of(module: str) -> tuple[ast.AST, ...]:
    """All that a module consists of."""
    return tuple(ast.walk(tree_of(module)))


@cache
def imports(module: str, *, lazy: bool = True, typing: bool = True) -> tuple[str, ...]:
    """Full names of what a module imports, names in packages included; there are no relative imports.

    Args:
        module: whose.
        lazy: also what it imports in functions.
        typing: also what it imports for type checkers only.
    """
    pending: list[ast.AST] = [tree_of(module)]
    found = list[str]()
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            found += (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not typing:
            pending += node.orelse
        elif lazy or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            pending += ast.iter_child_nodes(node)
    return tuple(found)


def own(name: str) -> str | None:
    """The module of the package that an imported name is, or is from."""
    while name not in MODULES and "." in name:
        name = name.rpartition(".")[0]
    return name if name in MODULES and name != "pol_jax" else None


def package(module: str) -> str:
    """The package that a module belongs to, as `PACKAGES` names it."""
    first = module.split(".")[1]
    return {"__main__": "cli"}.get(first, "ground" if first in GROUND else first)


def test_the_modules_are_found() -> None:
    assert {"pol_jax.protocol.encoding", "pol_jax.verifying.proof_verifier", "pol_jax.errors"} <= MODULES.keys()
    assert "pol_jax.protocol.encoding" in map(own, imports("pol_jax.protocol.merkle"))
    assert {package(module) for module in MODULES if module != "pol_jax"} == PACKAGES.keys()


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"pol_jax"}))
def test_a_package_imports_what_the_table_allows(module: str) -> None:
    importer = package(module)
    allowed = {importer, *PACKAGES[importer].split()}
    for name in imports(module):
        found = own(name)
        assert not found or package(found) in allowed, f"{module} imports {name}"


def test_the_table_allows_no_more_than_is_used() -> None:
    used = {
        (package(module), package(found))
        for module in MODULES.keys() - {"pol_jax"}
        for name in imports(module)
        if (found := own(name))
    }
    unused = {(importer, other) for importer, others in PACKAGES.items() for other in others.split()} - used
    assert not unused


def test_the_packages_are_listed_where_a_reader_begins() -> None:
    listed = re.findall(r"^    (\w+)  +\S", pol_jax.__doc__ or "", re.M)
    assert listed == list(PACKAGES), "in the order in which they are read"


def test_the_table_is_read_in_one_direction() -> None:
    order = list(PACKAGES)
    for importer, others in PACKAGES.items():
        assert all(order.index(other) < order.index(importer) for other in others.split()), importer


@pytest.mark.parametrize("module", sorted(name for name in MODULES if not name.startswith(FREE)))
def test_core_imports_no_library_of_tasks_and_screens(module: str) -> None:
    for name in imports(module):
        assert name.split(".")[0] not in OUTSIDE, f"{module} imports {name}"


@pytest.mark.parametrize("module", sorted(name for name in MODULES if name.startswith("pol_jax.reports")))
def test_reports_need_no_jax(module: str) -> None:
    """A page is made where a report was sent to: of what the report says, without jax, files or network."""
    for name in imports(module):
        library = name.split(".")[0]
        assert library in {"pol_jax", "msgspec", "numpy", "jaxtyping"} | sys.stdlib_module_names, name


def test_the_worker_of_a_comparison_runs_with_jax_alone() -> None:
    """It is started under interpreters that have jax and nothing else of ours."""
    for name in imports("pol_jax.backends.worker"):
        library = name.split(".")[0]
        assert library in {"jax", "jaxlib", "numpy"} | sys.stdlib_module_names, name


@pytest.mark.parametrize("module", sorted(name for name in MODULES if package(f"{name}.").startswith("protocol")))
def test_the_protocol_needs_no_jax(module: str) -> None:
    """Documents, digests and challenges are checked on machines that have no accelerator library."""
    assert not {name.split(".")[0] for name in imports(module)} & {"jax", "jaxlib", "flax", "orbax"}


def test_imports_have_one_direction() -> None:
    graph = {
        module: {found for name in imports(module, lazy=False, typing=False) if (found := own(name))} - {module}
        for module in MODULES
    }
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError
    assert (
        order.index("pol_jax.protocol.encoding")
        < order.index("pol_jax.storage.ledger")
        < order.index("pol_jax.verifying.proof_verifier")
    )


def test_imports_have_one_direction_in_functions_too() -> None:
    graph = {module: {found for name in imports(module) if (found := own(name))} - {module} for module in MODULES}
    graph["pol_jax"] = set()  # its names are for those outside
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module", MODULES)
def test_nothing_turns_data_into_code(module: str) -> None:
    found = {name.split(".")[0] for name in imports(module)} & RUNS_ANYTHING
    found -= {"ctypes"} if module in CALLS_OF_C else set()
    assert not found, f"{module} imports {found}"
    calls = [node for node in nodes_of(module) if isinstance(node, ast.Call)]
    names = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
    assert not names & {"eval", "exec", "compile", "__import__", "input"}, f"{module} calls {names}"
    for call in calls:
        for option in call.keywords:
            assert option.arg != "allow_pickle", f"{module}: line {call.lineno}"
            assert option.arg != "shell", f"{module}: line {call.lineno}"


def test_every_module_has_tests_that_are_found_by_its_name() -> None:
    elsewhere = {f"pol_jax.{name}": file for file, names in TESTED_ELSEWHERE.items() for name in names.split()}
    for module, path in MODULES.items():
        if path.name in {"__init__.py", "__main__.py"}:
            continue
        place = path.relative_to(ROOT)
        mirrored = TESTS / place.with_name(f"test_{place.name}")
        assert mirrored.exists() != (module in elsewhere), f"{module}: expected {mirrored}, or a line in the table"
    assert elsewhere.keys() <= MODULES.keys()
    assert all((TESTS / file).exists() for file in TESTED_ELSEWHERE)


def test_test_files_mirror_the_packages() -> None:
    """Beside those of modules: attacks by stage; documents, examples, notebooks, scripts; what has several modules."""
    several = {
        "backends/test_compare_backends.py",
        "integrations/flower/test_example.py",
        "cli/test_interrupted_train.py",
        "cli/test_parsing.py",
        "proving/test_naming_devices.py",
        "proving/test_pods.py",
        "tasks/test_contract.py",
        "training/test_ordinary_models.py",
        "training/test_ordinary_optimizers.py",
        "training/test_ordinary_steps.py",
        "training/test_run_shapes.py",
        "training/test_settings_of_jax.py",
        "verifying/test_device_generators.py",
        "verifying/test_models_that_are_not_finite.py",
        "verifying/test_modes.py",
        "verifying/test_rounding_decides.py",
        "verifying/test_thinned_proofs.py",
        "verifying/test_wide_types.py",
    }
    for path in TESTS.rglob("test_*.py"):
        place = path.relative_to(TESTS)
        module = ROOT / place.with_name(place.name.removeprefix("test_"))
        apart = len(place.parts) == 1 or place.parts[0] in {"attacks", "docs", "examples", "scripts"}
        assert module.exists() or apart or place.as_posix() in several, place


def test_files_are_named_for_what_they_hold() -> None:
    nondescript = {"utils", "util", "common", "helpers", "misc", "core", "base", "types"}
    assert not nondescript & {part for module in MODULES for part in module.split(".")}


def test_no_function_is_longer_than_a_page() -> None:
    """45 lines from the first line of the signature to the last one of the body, without the docstring."""
    paths = [*MODULES.values(), *sorted(SCRIPTS.rglob("*.py"))]
    assert SCRIPTS / "accelerator.py" in paths
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                documented = ast.get_docstring(node) is not None
                lines = (node.end_lineno or 0) - node.lineno + 1
                lines -= (first.end_lineno or 0) - first.lineno + 1 if documented else 0
                place = f"{path.name}: {node.name}"
                assert lines <= MOST_LINES, f"{place} has {lines} lines; split it where a reader would"


def test_no_file_is_longer_than_a_reader_keeps_in_mind() -> None:
    for module, path in MODULES.items():
        lines = len(path.read_text().splitlines())
        assert lines <= MOST_LINES_OF_A_FILE, f"{module} has {lines} lines; it has more than one concept"


def defined_names(module: str) -> set[str]:
    """Types that a module defines, private ones and aliases too, without leading underscores; and public functions.

    A private function is read beside its caller, so it may be called like one of another module.
    """
    names = set[str]()
    for node in tree_of(module).body:
        if isinstance(node, ast.ClassDef) or (isinstance(node, ast.FunctionDef) and not node.name.startswith("_")):
            names.add(node.name.lstrip("_"))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            assigned = {target.id.lstrip("_") for target in targets if isinstance(target, ast.Name)}
            names |= {
                name for name in assigned if name[:1].isupper() and not name.isupper()
            }  # constants are all capitals
    return names


def test_no_function_has_many_parameters() -> None:
    """Without ``self`` and ``cls``: what goes together is one frozen value, in which nothing changes places unseen."""
    found = set()
    for module in MODULES:
        for node in nodes_of(module):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                given = node.args
                names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
                if len(names) - (names[:1] in (["self"], ["cls"])) > MOST_PARAMETERS:
                    found.add(f"{module}.{node.name}")
    assert found == MANY_PARAMETERS


def test_each_meaning_has_a_name_of_its_own() -> None:
    """Two types, or two public functions, of one name are one concept, or one of them needs another name."""
    where = defaultdict[str, list[str]](list)
    for module in MODULES:
        for name in defined_names(module):
            where[name].append(module)
    shared = {name for name, modules in where.items() if len(modules) > 1}
    # A command of the command line is called like the function that does what it says.
    in_cli = {name for name in shared if any(module.startswith("pol_jax.cli.") for module in where[name])}
    commands = {name for name in in_cli if name.islower()}
    assert shared - commands == ONE_CONCEPT


def test_aliases_and_private_types_are_seen() -> None:
    assert "HostLeaves" in defined_names("pol_jax.protocol.trees")
    assert "RunFollower" in defined_names("pol_jax.verifying.following")


def variables(tree: ast.Module) -> set[str]:
    """Names that some code gives to variables and arguments."""
    names = set[str | None]()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.alias(asname=name):
                names.add(name)
            case ast.ExceptHandler(name=name) | ast.MatchAs(name=name) | ast.MatchStar(name=name):
                names.add(name)
    return {name for name in names if name}


@pytest.mark.parametrize("folder", ["pol_jax", "tests", "scripts", "examples"])
def test_variables_are_named_for_what_they_hold(folder: str) -> None:
    for path in (TESTS.parent / folder).rglob("*.py"):
        found = variables(ast.parse(path.read_text())) & NO_NAMES_OF_VARIABLES
        assert not found, path


def test_variables_of_notebooks_are_named_for_what_they_hold() -> None:
    notebooks = sorted((TESTS.parent / "notebooks").glob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        found = set[str]().union(*(variables(ast.parse("".join(cell["source"]))) for cell in cells))
        assert not found & NO_NAMES_OF_VARIABLES, path


def test_names_of_variables_are_found_where_they_are_given() -> None:
    code = (
        "def f(a, *b, c=0, **d): (e, *g), h = [], (i := 0)\ntry: import j as k\nexcept E as l: pass\nfor m in n.o: pass"
    )
    assert variables(ast.parse(code)) == {*"abcdeghiklm"}


def test_core_texts_name_no_option_of_the_command_line() -> None:
    """The command line adds the cure. A report has the command that repeats its verification; flags of XLA are data."""
    for module in MODULES:
        if module.startswith(("pol_jax.cli", "pol_jax.reports")):
            continue
        nodes = nodes_of(module)
        strings = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        bodies = [node for node in nodes if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
        strings -= {ast.get_docstring(node, clean=False) for node in bodies}
        named = {text for text in strings if re.search(r"(?<!\S)\(?--(?!xla_)[a-z]", text)}
        assert not named, f"{module}: {named}"


def test_only_two_modules_hash() -> None:
    """Every byte layout of a proof is in `pol_jax.protocol.encoding`; attestations name things by their digests.

    `pol_jax.training.device_blake3` computes the same hash on accelerators, without a library.
    """
    hashing = {module for module in MODULES for name in imports(module) if name.split(".")[0] in {"blake3", "hashlib"}}
    assert hashing == {"pol_jax.protocol.encoding", "pol_jax.attesting.digests"}


@pytest.mark.parametrize(
    "module", sorted(name for name in MODULES if name.split(".")[1:2] and package(name) in WITHOUT_IO)
)
def test_rules_do_no_input_or_output(module: str) -> None:
    touched = {name.split(".")[0] for name in imports(module)} & {"os", "io", "socket", "subprocess", "shutil"}
    assert not touched, f"{module} imports {touched}"
    calls = [node.func for node in nodes_of(module) if isinstance(node, ast.Call)]
    names = {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}
    own_style_sheet = {"read_text"} if module == "pol_jax.reports.html.page" else set()
    assert not names & {"open", "read_bytes", "read_text", "write_bytes", "write_text"} - own_style_sheet, module


def test_confinement_comes_before_threads() -> None:
    """What restricts the child is imported before anything that starts threads, or that could fail to be there."""
    pending, seen = ["pol_jax.sandbox.confinement"], set[str]()
    while pending:
        for name in imports(pending.pop()):
            module = own(name)
            assert module or name.split(".")[0] in sys.stdlib_module_names, name
            pending += {module} - seen if module else ()
            seen |= {module} if module else set()
    assert seen == SYSTEM_CALLS | {"pol_jax.sandbox.system_calls"}


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
