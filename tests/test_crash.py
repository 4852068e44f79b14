"""Saving is atomic: whenever it is killed, and when there is no room, the file is old or new.

Nothing here can cut the power: that bytes are on the disk before they get their name is for
test_bytes_are_on_disk_before_the_name in test_files_saving.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import pynn

KILLS = 200
MINUTE = 60  # no test waits longer for what should come soon
NAME = "model.safetensors"


def build(width: int, seed: int = 0) -> pynn.Model:
    """A model; of width 300 it makes a file of 1 MB, some time in the writing."""
    chain = pynn.Builder().input(784).dense(width).relu().dense(10)
    return chain.softmax_cross_entropy().build(seed=seed)


def saved(model: pynn.Model, path: Path) -> bytes:
    """Save a model; the bytes of its file."""
    model.save(path)
    return path.read_bytes()


# ------------------------------------------------------------ kills


def save_for_ever(models: list[pynn.Model], path: Path, progress: memoryview) -> None:
    """Save one model after the other; progress has the numbers of saves begun and ended."""
    while True:
        progress[0] += 1
        models[progress[0] % 2].save(path)
        progress[1] += 1


def kill_saves(folder: Path) -> None:
    """Kill KILLS children in the middle of saving, and look at the file after each.

    For a process of its own, since it forks. Prints how many saves there were, how many were
    killed, and how many files they left beside.
    """
    import mmap
    import signal
    import traceback

    path, reference, other = folder / NAME, folder / "reference", folder / "other.safetensors"
    models = [build(300, seed=0), build(150, seed=1)]
    contents = [saved(model, reference) for model in models]
    reference.unlink()
    models[0].save(path)
    models[1].save(other)
    progress = memoryview(mmap.mmap(-1, 16)).cast("q")  # shared with the children
    saves = unfinished = start = 0
    rng = np.random.default_rng(12)
    for _ in range(KILLS):
        child = os.fork()
        if child == 0:
            try:
                save_for_ever(models, path, progress)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        wanted = start + rng.integers(3)
        while progress[1] < wanted:
            assert os.waitpid(child, os.WNOHANG) == (0, 0)
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        begun, ended = progress
        found = path.read_bytes()
        # A save that has returned is not lost; one that has begun may be there or not.
        assert found in {contents[count % 2] for count in (begun, ended)}, (begun, ended)
        width = pynn.load(path).parameters["dense1.bias"].size
        assert width == models[contents.index(found)].parameters["dense1.bias"].size
        saves += ended - start
        unfinished += begun != ended
        start = progress[0] = progress[1] = contents.index(found)  # for the next child
    left = {file.name for file in folder.iterdir()} - {NAME, other.name}
    assert all(name.startswith(f".{NAME}.") for name in left), left
    assert other.read_bytes() == contents[1]
    assert saved(models[1], path) == contents[1]
    print(saves, unfinished, len(left))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
def test_killed_save_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """SIGKILL at 200 random moments of repeated saving: the file is always one of the two models.

    What a killed save had written may stay beside it, under a hidden name that begins with the
    file's; nothing else in the folder changes, and the next save works.
    """
    # From 3.12 on Python warns of forking beside the threads that NumPy's BLAS has started.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", __file__, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=5 * MINUTE)
    assert (result.returncode, result.stderr) == (0, "")
    saves, unfinished, left = map(int, result.stdout.split())
    assert saves > 0
    # Else the kills have met no save, and shown nothing.
    assert unfinished >= KILLS // 10
    assert left > 0


# ------------------------------------------------------------ no room


@contextmanager
def largest_file(nbytes: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes: a write stops there, as on a disk that is full."""
    import resource  # not on Windows
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.skipif(os.name != "posix", reason="cannot limit the length of a file")
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 1])
@pytest.mark.parametrize("existing", [True, False])
def test_full_disk_is_an_oserror_and_leaves_the_old_file(
    share: float, existing: bool, tmp_path: Path
) -> None:
    """Wherever the room ends the old file stays, nothing lies beside it, and saving works later."""
    path = tmp_path / NAME
    old, new = build(10), build(20)
    length = len(saved(new, path))
    room = min(int(share * length), length - 1)
    path.unlink()
    before = saved(old, path) if existing else None
    with largest_file(room), pytest.raises(OSError) as caught:
        new.save(path)
    assert str(caught.value).endswith(f"{os.strerror(caught.value.errno or 0)}: '{path}'")
    assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == ([NAME] if existing else [])
    assert not existing or path.read_bytes() == before
    with largest_file(length):
        new.save(path)
    assert pynn.load(path).parameters["dense1.bias"].size == 20


if __name__ == "__main__":
    kill_saves(Path(sys.argv[1]))
