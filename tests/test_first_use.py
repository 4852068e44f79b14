"""Names that are imported when they are first used: beside forks, for type checkers, in `dir`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pynn

# One thread imports a module of the model, slowly; the main thread forks meanwhile. The child uses
# the model, and is killed if it waits for the import of a thread that it does not have.
FORK = """
import os, signal, sys, threading, time
import pynn

begun = threading.Event()

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "pynn._training.engine":
            begun.set()
            time.sleep(0.2)

sys.meta_path.insert(0, Slow())
thread = threading.Thread(target=lambda: pynn.Model)
thread.start()
begun.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    pynn.Builder().input(2).dense(2).softmax_cross_entropy().build()
    os._exit(0)
_, status = os.waitpid(child, 0)
thread.join()
print(status, pynn.Model.__name__)
"""


def run_python(code: str, folder: Path) -> str:
    """What a program prints in an interpreter of its own, which starts in that folder."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=folder, timeout=60
    ).stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
def test_child_of_a_fork_beside_a_first_use(tmp_path: Path) -> None:
    """The fork waits until the import has ended, so the child finds it done."""
    assert run_python(FORK, tmp_path) == "0 Model\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
def test_fork_within_a_first_use(tmp_path: Path) -> None:
    """A thread that forks while it imports goes on, and so does its child."""
    code = """if True:
        import os, sys
        import pynn

        class Fork:
            def find_spec(self, name, path=None, target=None):
                if name == "pynn._training.engine":
                    sys.meta_path.remove(self)
                    self.child = os.fork()

        fork = Fork()
        sys.meta_path.insert(0, fork)
        pynn.Model
        pynn.plots
        if fork.child == 0:
            os._exit(3)
        print(os.waitstatus_to_exitcode(os.waitpid(fork.child, 0)[1]))
    """
    assert run_python(code, tmp_path) == "3\n"


def test_dir_lists_public_names_alone() -> None:
    """Neither helpers nor submodules that are not public are offered by an editor."""
    names = {name for name in dir(pynn) if not name.startswith("__")}
    assert names | {"__version__"} == set(pynn.__all__)


def test_a_model_is_not_made_of_something_else() -> None:
    """Who calls the class is told what makes a model."""
    chain = pynn.Builder().input(2).dense(2).softmax_cross_entropy()
    for wrong in ("digits.safetensors", chain, None):
        with pytest.raises(pynn.ArgumentTypeError, match=r"made by Builder\(\).*pynn\.load"):
            pynn.Model(wrong)  # type: ignore[arg-type]
