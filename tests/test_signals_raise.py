"""Signal handlers that raise: the exception ends the call, and no lock stays held."""

from __future__ import annotations

import gc

import pytest
from signal_handlers import (
    ASKING,
    USES,
    Instructions,
    Stop,
    Watch,
    X,
    build,
    check_free,
    count_instructions,
    stop,
    watched_library,
)

pytestmark = pytest.mark.usefixtures("threads_as_before", "unflushed")

watch = pytest.fixture(watched_library)


@pytest.mark.parametrize("use", USES)
def test_exception_before_any_instruction_leaves_nothing_held(use: str, watch: Watch) -> None:
    """It ends the call; locks are free, no workspace is lost or used twice, and the model works.

    The exception is kept, as a debugger does: what its frames hold is not freed either.
    """
    count = count_instructions(USES[use], checked=True)
    expected = build().predict_proba(X).tobytes()
    kept: list[Stop] = []
    for number in range(1, count + 1):
        model = build()
        try:
            with Instructions(stop, number, checked=True):
                USES[use](model)
        except Stop as error:
            kept.append(error)
        check_free(model)
        if use in ASKING:
            assert model.predict_proba(X).tobytes() == expected
        assert USES[use](model)
        model.close()
    assert len(kept) == count
    kept.clear()
    gc.collect()
    assert len(watch.freed) == watch.created
