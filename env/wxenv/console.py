"""What the person at the keyboard sees, and the errors that tell them what to do."""

import contextlib
import subprocess
import sys
import time


class SetupError(Exception):
    """Something the user must do first; the text says what."""


def say(text: str) -> None:
    print(text, flush=True)


@contextlib.contextmanager
def step(title: str):
    """Print a step with the seconds it took."""
    start = time.monotonic()
    print(f"  {title} … ", end="", flush=True)
    try:
        yield
    except BaseException:
        print("stopped", flush=True)
        raise
    print(f"{time.monotonic() - start:.1f} s", flush=True)


def run(command, *, advice: str, **kwargs) -> str:
    """Run a command and return what it printed.

    :param advice: what the user should do when it fails; it follows the output.
    :raises SetupError: when the command cannot be started or does not end with 0.
    """
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            **kwargs,
        )
    except OSError as error:
        raise SetupError(f"{command[0]}: {error.strerror}.\n{advice}") from error
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-25:])
        raise SetupError(
            f"{' '.join(str(part) for part in command[:4])} … ended with "
            f"{done.returncode}:\n{tail}\n\n{advice}"
        )
    return done.stdout


def main_guard(function) -> None:
    """Run a command-line entry and turn a SetupError into advice and exit 1."""
    try:
        code = function()
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
