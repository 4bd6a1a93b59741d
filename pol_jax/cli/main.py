"""The command line, ``pol``, turns words into calls, and errors into one line and an exit code (section 13.2).

Names and options of the commands are in ``*_commands``. What a command does is in a module of its own, which is
imported when the command runs: ``pol --help`` stays fast.
"""

from __future__ import annotations

import io
import sys
import traceback
from typing import Any

import click

from pol_jax.cli import attestation_commands, proving_commands, study_commands, verifying_commands
from pol_jax.cli.help_format import HelpContext
from pol_jax.errors import WRONG_INPUT, PolError, UserCodeError, printable

_INTERRUPTED, _BUG = 130, 70
"""The first exit code is what shells give for Ctrl-C, the second is EX_SOFTWARE of sysexits.h."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="pol_jax")
def pol() -> None:
    """Proof-of-Learning for JAX: train with a proof, and check a proof by replaying a part of it.

    Exit codes: 0 accepted or done, 1 rejected, 3 inconclusive, 2 the call or its input is wrong.
    """


for module in (proving_commands, verifying_commands, study_commands, attestation_commands):
    for command in module.COMMANDS:
        pol.add_command(command)


def _remember(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    context.ensure_object(dict)[parameter.name] = wanted


pol.context_class = HelpContext
for command in pol.commands.values():
    command.context_class = HelpContext
    command.params.append(
        click.Option(
            ["--traceback"], is_flag=True, expose_value=False, callback=_remember, help="Show all of an exception."
        )
    )


def main() -> None:
    """Run the command line; an error of the package becomes one line on standard error, and an exit code."""
    sys.unraisablehook = _show_unraisable
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that can't show a character is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    # Commands find the words of the call in the context, to print the command that repeats a verification.
    asked: dict[str, Any] = {"words": sys.argv[1:]}
    try:
        # Else click itself would print errors and choose exit codes, of which 1 means "rejected" here.
        sys.exit(pol(standalone_mode=False, obj=asked))
    except PolError as error:
        if asked.get("traceback"):
            traceback.print_exception(error)
        more = "; --traceback shows all of it" if isinstance(error, UserCodeError) else ""
        _say(f"pol: {error}{more}")
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except PermissionError as error:  # of a folder that may be listed and not entered, for example
        if asked.get("traceback"):
            traceback.print_exception(error)
        _say(f"pol: {printable(str(error.filename))}: {error.strerror}")
        sys.exit(WRONG_INPUT)
    except (KeyboardInterrupt, click.Abort):
        _say("pol: interrupted; everything that was recorded is kept")
        sys.exit(_INTERRUPTED)
    except Exception:  # noqa: BLE001  # a bug must not exit with 1, as Python does: that means "rejected"
        traceback.print_exc()
        sys.exit(_BUG)


def _say(line: str) -> None:
    from pol_jax.cli.terminal import say  # few calls end with a line of this module

    say(line, err=True)


def _show_unraisable(event: Any) -> None:
    """Report an exception that nobody can catch, as Python does, with one exception.

    After a failed save or load, a thread of tensorstore reports to an event loop that Orbax has closed, at any time and
    from no object. It is left out, because what failed was reported before.
    """
    late = isinstance(event.exc_value, RuntimeError) and str(event.exc_value) == "Event loop is closed"
    if not (late and event.object is None):
        sys.__unraisablehook__(event)
