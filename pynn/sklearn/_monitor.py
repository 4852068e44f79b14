"""The work between two epochs: record figures, change the learning rate, decide when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.base import is_classifier

from pynn._base.arrays import Floats
from pynn._base.errors import DivergenceError
from pynn._training.history import EpochResult
from pynn.sklearn._examples import Examples
from pynn.sklearn._losses import LOSSES

if TYPE_CHECKING:
    from pynn.sklearn._base import BaseMLP

LEAST_RATE = 1e-6
"""An adaptive learning rate that is at most this is not reduced any more: training ends instead."""


class Rate:
    """scikit-learn's learning rate as a schedule of pynn. It changes only between epochs.

    Args:
        value: The first rate, scikit-learn's learning_rate_init.
        factor: The factor from pynn's loss to scikit-learn's, by which each step multiplies the
            rate.
    """

    def __init__(self, value: float, factor: float) -> None:
        self.value = value
        self.factor = factor

    @property
    def learning_rate(self) -> float:
        """The present value, under scikit-learn's name."""
        return self.value

    def __call__(self, step: int) -> float:
        """Return the rate, which is the same for all steps of an epoch."""
        return self.value * self.factor


class Regularization(NamedTuple):
    """The L2 penalty on the weights, as a part of the reported loss of an epoch."""

    alpha: float
    """The penalty's strength: a step adds 0.5 * alpha * squares / total."""
    steps: int
    """The number of steps in an epoch."""
    total: float
    """The sum of the examples' weights; without weights, the number of examples."""

    def mean(self, before: float, after: float) -> float:
        """Estimate the penalty over an epoch.

        Each step adds the penalty of the weights as they are before that step. The sum of squares
        is known only at the start and the end of the epoch; between them it is taken to change
        evenly.

        Args:
            before: The sum of all squared weights before the epoch.
            after: The same sum after the epoch.
        """
        share = (self.steps - 1) / 2  # the sum, over all steps, of the share of the change so far
        squares = self.steps * before + share * (after - before)
        return 0.5 * self.alpha * squares / self.total


class Monitor:
    """A callback of `Model.fit`: it updates the estimator's figures and says when to stop.

    Args:
        estimator: The estimator whose `model_` is trained.
        rate: The learning rate, which the monitor changes.
        regularization: The penalty on the weights.
        rows: The number of examples in an epoch.
        held_out: The examples to validate on, or None.
        callbacks: The user's callbacks.
    """

    def __init__(
        self,
        estimator: BaseMLP,
        rate: Rate,
        regularization: Regularization,
        rows: int,
        held_out: Examples | None,
        callbacks: list[Callable[..., object]],
    ) -> None:
        self.estimator = estimator
        self.rate = rate
        self.regularization = regularization
        self.rows = rows
        self.held_out = held_out
        self.callbacks = callbacks
        self.loss = LOSSES[estimator.out_activation_]
        self.squares = self._sum_squares()
        self.best: list[Floats] = self._copy() if estimator._stops_early else []
        self.ended = False  # by a rule or a callback, not by max_iter
        self.is_exhausted: Callable[[], bool] = lambda: False  # whether "lbfgs" used max_fun up
        self.diverged = False

    def __call__(self, result: EpochResult) -> bool:
        """Record an epoch; return True to end the training."""
        e = self.estimator
        self._note_loss(self._loss(result))
        result = result._replace(loss=e.loss_)
        score = None
        if self.held_out is not None:
            loss, score = self._validate(self.held_out)
            self._note_score(loss, score)
            accuracy = score if is_classifier(e) else math.nan
            result = result._replace(val_loss=loss, val_accuracy=accuracy)
        self._count(score)
        if e.solver == "sgd" and e.learning_rate == "invscaling":
            # Where the power is beyond the range of floats, the rate becomes 0.
            self.rate.value = e.learning_rate_init * (e.t_ + 1.0) ** -e.power_t
        returned = [callback(result) for callback in self.callbacks]
        self.ended = self._is_over() or any(
            isinstance(value, (bool, np.bool_)) and bool(value) for value in returned
        )
        return self.ended or self.is_exhausted()

    def lose(self) -> None:
        """Record an epoch in which numbers stopped being finite; this ends the training."""
        self._note_loss(math.nan)
        self._note_score(math.nan, math.nan)
        self.diverged = self.ended = True

    def finish(self) -> None:
        """With early stopping, go back to the weights with the best validation score."""
        if self.diverged:  # the optimizer's moments are lost, too, so the model is made anew
            self.estimator._build(self.best, self.estimator.model_.seed)
            return
        for view, array in zip(self._views(), self.best, strict=False):
            view[...] = array

    def _loss(self, result: EpochResult) -> float:
        """The loss to report for an epoch: the mean over its rows, plus the penalty."""
        before, self.squares = self.squares, self._sum_squares()
        if self.estimator.solver == "lbfgs":
            before = self.squares  # its loss is that after the step
        penalty = self.regularization.mean(before, self.squares)
        return self.loss.reported(self.estimator.n_outputs_) * result.loss + penalty

    def _note_loss(self, loss: float) -> None:
        """Record the loss of an epoch."""
        e = self.estimator
        e.n_iter_ += 1
        e.t_ += self.rows
        e.loss_ = loss
        e.loss_curve_.append(loss)
        self._say(f"Iteration {e.n_iter_}, loss = {loss:.8f}")

    def _note_score(self, loss: float, score: float) -> None:
        """Record the validation loss and score of an epoch."""
        e = self.estimator
        if e.validation_scores_ is None or e.validation_loss_curve_ is None:
            e.validation_scores_, e.validation_loss_curve_ = [], []
        e.validation_scores_.append(score)
        e.validation_loss_curve_.append(loss)
        self._say(f"Validation score: {score:f}")

    def _validate(self, held_out: Examples) -> tuple[float, float]:
        """Measure loss and score on the held-out examples.

        If they are not finite, return nan with early stopping, and raise DivergenceError without.
        """
        e = self.estimator
        try:
            outputs = e.model_(held_out.features)
        except DivergenceError:
            self.diverged = True
            if not e._stops_early:
                raise
            return math.nan, math.nan
        return self.loss.mean(outputs, held_out), e._score_outputs(outputs, held_out)

    def _count(self, score: float | None) -> None:
        """Count the epochs without progress: in the score with early stopping, else in the loss."""
        e = self.estimator
        if e._stops_early and score is not None and e.best_validation_score_ is not None:
            progress = score >= e.best_validation_score_ + e.tol
            if score > e.best_validation_score_:
                e.best_validation_score_ = score
                self.best = self._copy()
        else:
            assert e.best_loss_ is not None
            progress = e.loss_ <= e.best_loss_ - e.tol
            e.best_loss_ = min(e.best_loss_, e.loss_)
        e._no_improvement_count = 0 if progress else e._no_improvement_count + 1

    def _is_over(self) -> bool:
        """Whether training ends because there was no progress; first reduce an adaptive rate."""
        e = self.estimator
        if self.diverged:
            return True
        if e._no_improvement_count <= e.n_iter_no_change or e.solver == "lbfgs":
            return False
        what = "Validation score" if e._stops_early else "Training loss"
        why = (
            f"{what} did not improve more than tol={e.tol:f} for {e.n_iter_no_change} consecutive"
            " epochs."
        )
        if e.solver != "sgd" or e.learning_rate != "adaptive":
            self._say(f"{why} Stopping.")
            return True
        if self.rate.value <= LEAST_RATE:
            self._say(f"{why} Learning rate too small. Stopping.")
            return True
        self.rate.value /= 5.0
        self._say(f"{why} Setting learning rate to {self.rate.value:f}")
        e._no_improvement_count = 0
        return False

    def _say(self, line: str) -> None:
        """Print a line, as scikit-learn does, if the estimator is verbose."""
        if self.estimator.verbose:
            print(line)

    def _views(self) -> list[Floats]:
        return list(self.estimator.model_.parameters.values())

    def _copy(self) -> list[Floats]:
        return [view.copy() for view in self._views()]

    def _sum_squares(self) -> float:
        """The sum of all squared weights, without biases."""
        return sum(float(np.vdot(w, w)) for w in self.estimator.coefs_)
