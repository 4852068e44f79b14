"""Runs that are killed, at any line or from outside, end with the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from interrupted import EVERY, MINUTE, Outcome, undisturbed_run

pytestmark = pytest.mark.usefixtures("threads_as_before", "ctrl_c", "unflushed")

undisturbed = pytest.fixture(scope="module")(undisturbed_run)

RUN = """if True:
    import hashlib, os, signal, sys, warnings
    from pathlib import Path
    import numpy as np, pynn

    path = Path("run")
    rng = np.random.default_rng(50)
    x, y = rng.integers(0, 256, (60, 20), np.uint8), rng.integers(0, 3, 60)
    cosine = pynn.schedules.Cosine(0.05, steps=27)
    optimizer = {
        "sgd": pynn.SGD(learning_rate=0.3),
        "momentum": pynn.SGD(learning_rate=cosine, momentum=0.9, nesterov=True, weight_decay=0.1),
        "adam": pynn.Adam(learning_rate=cosine),
        "adamw": pynn.AdamW(learning_rate=0.03, max_gradient_norm=0.5),
    }[sys.argv[2]]
    plain = sys.argv[2] == "sgd"
    options = {} if plain else {
        "class_weight": "balanced", "early_stopping": pynn.EarlyStopping(patience=2),
    }

    def run(every, **callbacks):
        if path.exists():
            model = pynn.Model.resume(path)
        else:
            chain = pynn.Builder().input(20).dense(17).relu()
            chain = chain if plain else chain.dropout(0.3)
            model = chain.dense(3).softmax_cross_entropy().build(seed=5)
        model.fit(
            x, y, epochs=3, batch_size=7, optimizer=optimizer,
            validation=(x[::3], y[::3]), checkpoint=path, every=every, **options, **callbacks,
        )
        model.save("model")
        return hashlib.sha256(Path("model").read_bytes()).hexdigest()
"""

KILLED_AT_A_LINE = """
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking where threads are
    package = os.path.dirname(pynn.__file__)

    def kill_at(line):
        left = line

        def in_pynn(frame, event, _):
            nonlocal left
            if event == "line":
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return in_pynn

        def enter(frame, event, _):
            return in_pynn if frame.f_code.co_filename.startswith(package) else None

        sys.settrace(enter)

    def live(every, threads, line):
        process = os.fork()
        if process == 0:
            signal.alarm(60)  # ends it if it hangs
            try:
                pynn.set_num_threads(threads)
                if line is not None:
                    kill_at(line)
                run(every)
                os._exit(0)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    every = None if sys.argv[1] == "None" else int(sys.argv[1])
    draw = np.random.default_rng([52, every or 0])
    kills = 0
    for again in range(9 if plain else 5):
        for name in ("run", "model"):
            Path(name).unlink(missing_ok=True)
        if again == 0:  # undisturbed
            assert live(every, 2, None) == 0
            print(hashlib.sha256(Path("model").read_bytes()).hexdigest())
            continue
        for life in range(8):
            status = live(every, 1 + life % 3, int(draw.integers(1, 2500)))
            assert status in (0, -signal.SIGKILL), status
            kills += status != 0
        assert live(every, 2, None) == 0
        print(hashlib.sha256(Path("model").read_bytes()).hexdigest())
    print(kills)
"""

KILLED_FROM_OUTSIDE = """
    every = None if sys.argv[1] == "None" else int(sys.argv[1])
    print(run(every, on_progress=lambda now: print(now.epoch, now.step, flush=True)))
"""


def python(
    code: str, every: int | None, folder: Path, optimizer: str = "sgd"
) -> subprocess.Popen[str]:
    """A program in an interpreter of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN + code, str(every), optimizer],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
@pytest.mark.parametrize(
    ("optimizer", "every"),
    [*(("sgd", every) for every in EVERY), ("momentum", 7), ("adam", 4), ("adamw", None)],
)
def test_killed_at_any_line_a_run_goes_on(
    optimizer: str, every: int | None, undisturbed: tuple[Outcome, list[str]], tmp_path: Path
) -> None:
    """Runs, each killed up to eight times at drawn lines of Python, end with the same bytes.

    Each life has another number of threads.
    """
    with python(KILLED_AT_A_LINE, every, tmp_path, optimizer) as process:
        out, err = process.communicate(timeout=5 * MINUTE)
    assert (process.returncode, err) == (0, "")
    *digests, kills = out.split()
    assert len(digests) == (9 if optimizer == "sgd" else 5)
    assert len(set(digests)) == 1
    if optimizer == "sgd":
        assert digests[0] == undisturbed[0].sha256
    assert int(kills) >= 8


@pytest.mark.skipif(os.name != "posix", reason="has no SIGKILL")
@pytest.mark.parametrize("every", EVERY)
def test_killed_from_outside_a_run_goes_on(
    every: int | None, undisturbed: tuple[Outcome, list[str]], tmp_path: Path
) -> None:
    """Killed after some lines of its output, wherever it is by then, four times over."""
    draw = np.random.default_rng([53, every or 0])
    for _ in range(4):
        with python(KILLED_FROM_OUTSIDE, every, tmp_path) as process:
            assert process.stdout is not None
            for _ in range(draw.integers(1, 5)):
                process.stdout.readline()
            process.kill()
            _, err = process.communicate(timeout=MINUTE)
        assert err == ""
    with python(KILLED_FROM_OUTSIDE, every, tmp_path) as process:
        out, err = process.communicate(timeout=MINUTE)
    assert (process.returncode, err) == (0, "")
    assert out.split()[-1] == undisturbed[0].sha256
