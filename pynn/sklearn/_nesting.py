"""An estimator is fitted once at a time in a thread, whatever callbacks and signal handlers do."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

from pynn._base.errors import PynnError

Method = TypeVar("Method", bound=Callable[..., Any])


class _Fitted(threading.local):
    """The ids of the estimators that a thread is fitting."""

    def __init__(self) -> None:
        self.now: set[int] = set()


_fitted = _Fitted()


def refuse_nested(method: Method) -> Method:
    """Let a method that fits an estimator raise a PynnError where one is under way below it.

    The inner call would give the estimator another model. The outer one would go on with a model
    that the estimator does not have any more, and with the figures of the inner one.
    """

    @functools.wraps(method)
    def alone(estimator: object, *args: Any, **kwargs: Any) -> Any:
        key = id(estimator)
        if key in _fitted.now:
            raise PynnError(
                f"fit or partial_fit of this {type(estimator).__name__} was called from a callback"
                " of its own fit, or from a signal handler that interrupted it; call it when that"
                " has ended, or fit a clone"
            )
        try:
            _fitted.now.add(key)
            return method(estimator, *args, **kwargs)
        finally:
            _fitted.now.discard(key)

    return cast(Method, alone)
