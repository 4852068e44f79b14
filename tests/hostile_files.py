"""Files that are damaged or made to do harm, for the tests of what reads them."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import pynn

FUZZING = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=300,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,  # the file is written anew each time
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with up to four places overwritten, widened, cut out or repeated."""
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        cut = draw(st.integers(0, 12) | st.integers(0, len(content)))
        new = draw(st.binary(max_size=12) | st.just(content[place : place + cut] * 2))
        content = content[:place] + new + content[place + cut :]
    return content


ITEM_NBYTES = {0x08: 1, 0x09: 1, 0x0B: 2, 0x0C: 4, 0x0D: 4, 0x0E: 8}


def idx(code: int, *dims: int, payload: bytes = b"") -> bytes:
    """The bytes of an IDX file."""
    return bytes([0, 0, code, len(dims)]) + struct.pack(f">{len(dims)}I", *dims) + payload


Try = tuple[str, Path]  # what to do to which file


def sound_files(tmp_path: Path, checkpoint: bytes) -> list[Try]:
    """A sound file for each action, so that what the first one loads is not put to another."""
    (tmp_path / "sound.idx").write_bytes(idx(0x0B, 1, payload=b"ab"))
    (tmp_path / "sound.idx.gz").write_bytes(gzip.compress(idx(0x0B, 1, payload=b"ab")))
    (tmp_path / "sound.checkpoint").write_bytes(checkpoint)
    return [
        ("read_idx", tmp_path / "sound.idx"),
        ("read_idx", tmp_path / "sound.idx.gz"),
        ("load", tmp_path / "sound.checkpoint"),
        ("resume", tmp_path / "sound.checkpoint"),
    ]


X = np.random.default_rng(8).normal(size=(9, 3)).astype(np.float32)
Y = np.arange(9) % 2
RATE = pynn.SGD(learning_rate=0.25)
STEPS: dict[str, Any] = {"epochs": 3, "batch_size": 4, "optimizer": RATE}


class Interrupted(Exception):
    """What ends a run early here."""


def sound_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A checkpoint of a run with one epoch and one step of the next behind it."""
    file = tmp_path_factory.mktemp("checkpoint") / "run"

    def interrupt(progress: pynn.Progress) -> None:
        if progress.epoch == 2:
            raise Interrupted

    chain = pynn.Builder().input(3).dense(4).relu().dense(2)
    model = chain.softmax_cross_entropy().build(seed=5)
    with pytest.raises(Interrupted):
        model.fit(X, Y, **STEPS, validation=(X, Y), on_progress=interrupt, checkpoint=file)
    resumed = pynn.Model.resume(file)
    assert resumed.epochs_trained == 1
    return file.read_bytes()


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and tensors of a safetensors file."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def join(header: object, tensors: bytes) -> bytes:
    """A safetensors file; the header as bytes, or as what becomes JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensors


def use_or_refuse(path: Path, content: bytes) -> None:
    """Read a file as a model and as a checkpoint: what is accepted works, through its next `fit`.

    A run that goes on may be refused for its examples, batch size or optimizer, since those come
    from the file; and numbers in the file may make a loss that is not finite.
    """
    path.write_bytes(content)
    try:
        model = pynn.load(path)
    except (pynn.FileFormatError, OSError) as error:
        assert not isinstance(error, MemoryError)
        with pytest.raises((pynn.FileFormatError, OSError)):
            pynn.Model.resume(path)
        return
    try:
        if model.inputs == 3 and model.outputs == 2:
            assert model.predict(X).shape == (9,)
            assert model.predict_proba(X).shape == (9, 2)
    except pynn.DivergenceError:
        pass
    try:
        resumed = pynn.Model.resume(path)
    except pynn.FileFormatError as error:
        assert str(error).startswith(f"{path}: ")
        return
    assert resumed.epochs_trained >= 0
    after = path.with_name("after")
    try:
        history = resumed.fit(X, Y, **STEPS, validation=(X, Y), checkpoint=after)
    except pynn.PynnError:
        return
    assert f"History({history.epochs} epochs in " in repr(history)
    assert len(history.accuracy) == len(history.seconds) == history.epochs == 3
    assert len(history.val_loss) == len(history.val_accuracy) == 3
    assert np.isfinite(history.accuracy + history.val_accuracy).all()
    assert all(type(loss) is float and np.isfinite(loss) for loss in history.loss)
    pynn.Model.resume(after).close()
