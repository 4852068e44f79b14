"""Refuse to fit an estimator that the same thread is already fitting.

A callback or a signal handler could call `fit` inside `fit`.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

from pynn._base.errors import PynnError

Method = TypeVar("Method", bound=Callable[..., Any])


class _Fitted(threading.local):
    """The ids of the estimators that the present thread is fitting."""

    def __init__(self) -> None:
        self.now: set[int] = set()


_fitted = _Fitted()


def refuse_nested(method: Method) -> Method:
    """Decorate a method that fits an estimator: a call within another one raises a PynnError.

    Otherwise the inner call would give the estimator a new model. The outer call would then go on
    training a model that the estimator no longer has, and mix its figures with the inner call's.
    """

    @functools.wraps(method)
    def alone(estimator: object, *args: Any, **kwargs: Any) -> Any:
        key = id(estimator)
        if key in _fitted.now:
            raise PynnError(
                f"fit or partial_fit of this {type(estimator).__name__} was called from a callback"
                " of its own fit, or from a signal handler that interrupted it; call it after that"
                " fit has ended, or fit a clone"
            )
        try:
            _fitted.now.add(key)
            return method(estimator, *args, **kwargs)
        finally:
            _fitted.now.discard(key)

    return cast(Method, alone)
