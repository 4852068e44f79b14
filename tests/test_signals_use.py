"""Signal handlers that use the model whose call they interrupt."""

from __future__ import annotations

import contextlib
import pickle
import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from signal_handlers import (
    ASKING,
    USES,
    Instructions,
    Watch,
    X,
    Y,
    build,
    check_free,
    count_instructions,
    fit,
    watched_library,
)

import pynn
from pynn._native.workspace import Workspace

pytestmark = pytest.mark.usefixtures("threads_as_before", "unflushed")

watch = pytest.fixture(watched_library)

LARGE = np.tile(X, (9, 1))  # needs a larger workspace
LARGE_Y = np.tile(Y, 9)

# What a handler does that changes nothing of the model.
HANDLERS: dict[str, Callable[[pynn.Model], Any]] = {
    "predict": lambda model: model.predict(X[:2]),
    "predict more rows": lambda model: model.predict_proba(LARGE),
    "evaluate": lambda model: model.evaluate(X[:2], Y[:2]),
    "evaluate more rows": lambda model: model.evaluate(LARGE, LARGE_Y),
    "pickle": lambda model: pickle.dumps(model),
    "threads": lambda _: pynn.set_num_threads(3 - pynn.get_num_threads()),
    "another model": lambda _: build().evaluate(X, Y),
}


# ------------------------------------------------------------ a handler that uses the model


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("use", USES)
def test_nested_call_before_every_instruction(use: str, handler: str, watch: Watch) -> None:
    """The interrupted call comes to what it comes to undisturbed, and so does the nested one."""
    model, other = build(), build()
    expected, answer = USES[use](other), HANDLERS[handler](build())
    answers: list[Any] = []
    with Instructions(lambda: answers.append(HANDLERS[handler](model))) as instructions:
        assert USES[use](model) == expected
    assert instructions.count > 100
    if use in ASKING and handler != "threads":
        assert {pickle.dumps(each) for each in answers} == {pickle.dumps(answer)}
    model.close()
    other.close()
    assert len(watch.freed) == watch.created


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_that_a_signal_calls(handler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same by signals, sent before and after each call of the library."""
    model, other = build(), build()
    expected = [USES[use](other) for use in USES]
    handled = 0

    def handle(*_: object) -> None:
        nonlocal handled
        handled += 1
        HANDLERS[handler](model)

    def interrupted(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal nested
            nested, outermost = True, not nested
            if outermost:
                signal.raise_signal(signal.SIGUSR1)
            result = method(*arguments, **options)
            if outermost:
                signal.raise_signal(signal.SIGUSR1)
                nested = False
            return result

        return call

    nested = False
    for name in ("train", "evaluate", "predict"):
        method = interrupted(getattr(Workspace, name))
        monkeypatch.setattr(Workspace, name, method)
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        assert [USES[use](model) for use in USES] == expected
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert handled >= 2 * len(USES)


@pytest.mark.parametrize("use", USES)
def test_a_larger_call_before_any_instruction(use: str, watch: Watch) -> None:
    """One that needs a larger workspace leaves the interrupted call its own."""
    count = count_instructions(USES[use])
    expected = USES[use](build())
    for number in range(1, count + 1, 1 + count // 400):
        model = build()
        with Instructions(lambda model=model: model.predict(LARGE), number):
            assert USES[use](model) == expected
        model.close()
    assert len(watch.freed) == watch.created


@pytest.mark.parametrize("use", USES)
def test_close_before_any_instruction(use: str, watch: Watch) -> None:
    """The interrupted call ends with its result, or with the error that says so."""
    count = count_instructions(USES[use])
    expected = USES[use](build())
    ends: set[str] = set()
    for number in range(1, count + 1, 1 + count // 400):
        model = build()
        try:
            with Instructions(model.close, number):
                assert USES[use](model) == expected
            ends.add("result")
        except pynn.ClosedError:
            ends.add("error")
        assert repr(model).endswith("closed)")
        check_free(model)
    assert "error" in ends
    assert len(watch.freed) == watch.created


# ------------------------------------------------------------ a timer


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="has no timer")
@pytest.mark.parametrize("what", ["ask", "close", "train"])
def test_a_timer_disturbs_nothing(what: str) -> None:
    """Signals wherever they come: right results or the errors.

    The next one comes some time after the handler has ended, or a slow machine would do nothing but
    handle signals; and there is a most, so that the test ends however slow it is.
    """
    expected, other = build().evaluate(X, Y), build().evaluate(LARGE, LARGE_Y)
    model = build()
    sizes = iter(np.random.default_rng(61).integers(1, len(LARGE), 3000).tolist())

    def handle(*_: object) -> None:
        size = next(sizes, None)
        if size is None:
            return
        with contextlib.suppress(pynn.ClosedError):
            model.predict(LARGE[:size])
            if what == "ask":
                assert model.evaluate(LARGE, LARGE_Y) == other
        if what == "close":
            model.close()
        if what == "train":
            with contextlib.suppress(pynn.PynnError):
                model.partial_fit(LARGE, LARGE_Y)
        signal.setitimer(signal.ITIMER_REAL, 0.00037)

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005)
        for _ in range(300):
            if what != "ask":
                model = build()
            with contextlib.suppress(pynn.ClosedError):
                evaluation = model.evaluate(X, Y)
                assert what == "train" or evaluation == expected
                model.predict_proba(X)
                if what != "ask":
                    fit(model)
    finally:
        sizes = iter(())  # a handler that comes now starts the timer no more
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    check_free(model)
