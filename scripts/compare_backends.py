"""Replay an opening under the backends of this machine, and write one results file. For bare machines.

    pip install 'jax[cuda13]' msgspec blake3 rfc8785 jaxtyping flatbuffers     # all that is needed; or jax[tpu], jax
    python scripts/compare_backends.py OPENING --out results.json

``OPENING`` is what ``pol open PROOF --steps 1,300-309,600 --out OPENING`` wrote where the proof is: no data set and no
checkpoints are needed here. Take ``results.json`` home, and join it with other machines' results there:

    pol backends --merge results.json other.json --out comparison

Where the whole package is installed, ``pol backends --opening`` does the same, with a table and figures at once.
``--config`` and ``--only`` are as there; ``--only cuda`` leaves out the host.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

NEEDED = ("jax", "msgspec", "blake3", "rfc8785", "jaxtyping", "flatbuffers")

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the package, from a clone where it is not installed


def main() -> int:
    """Run, print a line for each backend, write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("opening", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, help="TOML file with [[backend]] tables")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these backends, or platforms")
    parser.add_argument("--machine", help="what the results call this machine")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for each backend")
    options = parser.parse_args()
    try:
        from pol_jax.errors import PolError
    except ModuleNotFoundError as error:
        return _needs(error)
    try:
        return compare(options)
    except ModuleNotFoundError as error:
        return _needs(error)
    except PolError as error:
        print(f"compare_backends: {error}", file=sys.stderr)
        return error.exit_code


def compare(options: argparse.Namespace) -> int:
    """Replay under each backend; 3 if none of them ran."""
    import jax

    jax.config.update("jax_platforms", "cpu")  # this process leaves accelerators to those that it starts

    from pol_jax.backends.comparison import compare_backends
    from pol_jax.backends.description import built_in, read_backends, select_backends
    from pol_jax.backends.results import write_results
    from pol_jax.backends.workload import read_workload
    from pol_jax.protocol.limits import Limits
    from pol_jax.storage.openings import read_opening

    described = read_backends(options.config) if options.config else ()
    backends = select_backends((*built_in(), *described), options.only)
    workload = read_workload(read_opening(options.opening, Limits()))
    results = compare_backends(workload, backends, timeout=options.timeout, machine=options.machine)
    for outcome in results.outcomes:
        steps = outcome.of("step")
        exact = f"{sum(each.exact for each in steps)} of {len(steps)} steps bit for bit"
        print(f"{outcome.backend.name}: {outcome.status}: {outcome.reason or exact}")
    write_results(options.out, results)
    print(f"written to {options.out}")
    return 0 if any(outcome.status == "ran" for outcome in results.outcomes) else 3


def _needs(error: ModuleNotFoundError) -> int:
    print(f"compare_backends: {error.name} is not installed: pip install {' '.join(NEEDED)}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
