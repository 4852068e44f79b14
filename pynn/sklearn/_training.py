"""Train an estimator: one call of its `fit` or `partial_fit` is one call of `Model.fit`."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from pynn._base.checks import shown
from pynn._base.errors import DivergenceError
from pynn._training import doubts
from pynn._training.lbfgs import LBFGS
from pynn._training.optimizers import SGD, Adam
from pynn.sklearn import _parameters
from pynn.sklearn._errors import NOT_FINITE, SolverError
from pynn.sklearn._examples import Examples
from pynn.sklearn._monitor import Monitor, Regularization

if TYPE_CHECKING:
    from pynn.sklearn._base import BaseMLP

AUTO_BATCH = 200
"""The batch size for "auto", if there are as many examples."""

MOST_GRADIENTS = 20
"""The most gradients for a step of "lbfgs", as in SciPy's L-BFGS-B."""

_CALLER = 5
"""The stack level, seen from `train`, of the user's call of `fit`: warnings point to it."""


class Momentum(SGD):
    """SGD with scikit-learn's momentum: a change of the learning rate leaves velocities alone."""

    def _options(self) -> dict[str, float]:
        return {**super()._options(), "keeps_speed": self.momentum > 0}


class Counted(LBFGS):
    """L-BFGS that counts the gradients that it calculates."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        vars(self)["gradients"] = 0

    def _note_gradient(self) -> None:
        vars(self)["gradients"] += 1


def train(e: BaseMLP, examples: Examples, held_out: Examples | None, *, incremental: bool) -> None:
    """Train until the monitor stops it or after max_iter epochs; one epoch if `incremental`."""
    in_batches = e.solver != "lbfgs"
    batch = _batch_size(e, examples.rows) if in_batches else examples.rows
    whole = batch == examples.rows
    if whole:
        examples = examples.in_canonical_order()
    weights = examples.weights
    count = float(examples.rows if weights is None else weights.sum())
    penalty = Regularization(e.alpha, -(-examples.rows // batch), count)
    callbacks = _parameters.callbacks(e.callbacks)
    monitor = Monitor(e, e._rate, penalty, examples.rows, held_out, callbacks)
    optimizer = _optimizer(e, batch * count / examples.rows)
    if isinstance(optimizer, Counted):
        monitor.is_exhausted = lambda: vars(optimizer)["gradients"] >= e.max_fun
    try:
        with doubts.silenced():
            history = e.model_.fit(
                examples.features,
                examples.targets,
                epochs=1 if incremental else e.max_iter,
                batch_size=batch if in_batches else None,
                optimizer=optimizer,
                sample_weight=weights,
                shuffle=bool(e.shuffle) and not whole,
                on_epoch=monitor,
            )
        monitor.ended |= bool(history.ended) and not monitor.is_exhausted()
    except KeyboardInterrupt:  # as in scikit-learn, the estimator keeps the weights so far
        warnings.warn("fit was interrupted and ended early", stacklevel=_CALLER)
        monitor.ended = True
    except DivergenceError:
        if not e._stops_early:
            raise _give_up(e, monitor) from None
        monitor.lose()
    if monitor.diverged:
        _warn_of_divergence(e)
    monitor.finish()
    if not monitor.ended and not incremental:
        warnings.warn(_limit(e, monitor), ConvergenceWarning, stacklevel=_CALLER)


def _limit(e: BaseMLP, monitor: Monitor) -> str:
    """The warning that a limit was reached before the training had converged."""
    done, or_more = f"max_iter={e.max_iter} epochs", ""
    if monitor.is_exhausted():
        done, or_more = f"max_fun={e.max_fun} gradients", ", max_fun"
    return f"{done} are done and the training has not converged: raise max_iter{or_more}, or tol"


def _warn_of_divergence(e: BaseMLP) -> None:
    """Warn that numbers stopped being finite, and say which weights early stopping went back to."""
    has_best = e.best_validation_score_ != -np.inf
    left = "those with the best score so far" if has_best else "the first ones, untrained"
    warnings.warn(
        f"{NOT_FINITE}. This happened in epoch {e.n_iter_}; the weights are now {left}."
        f" {_advice(e)}",
        ConvergenceWarning,
        stacklevel=_CALLER + 1,
    )


def _give_up(e: BaseMLP, monitor: Monitor) -> SolverError:
    """Remove the model, whose weights are lost, so that the estimator is not fitted any more.

    Returns:
        The error to raise.
    """
    del e.model_
    epoch = e.n_iter_ + (not monitor.diverged)  # n_iter_ counts it only if validation diverged
    return SolverError(f"{NOT_FINITE}. This happened in epoch {epoch}. {_advice(e)}")


def _advice(e: BaseMLP) -> str:
    if e.solver == "lbfgs":
        return "Try features scaled to about 1, as by StandardScaler"
    return (
        f"Try a smaller learning_rate_init than {shown(e.learning_rate_init)}, or features"
        " scaled to about 1, as by StandardScaler"
    )


def _batch_size(e: BaseMLP, rows: int) -> int:
    """The number of examples in a step; warn if the user asked for more than there are."""
    if isinstance(e.batch_size, str):
        return min(AUTO_BATCH, rows)
    if e.batch_size > rows:
        warnings.warn(
            f"batch_size={e.batch_size} is more than the {rows} examples: taken as {rows}",
            stacklevel=_CALLER + 1,
        )
    return min(e.batch_size, rows)


def _optimizer(e: BaseMLP, count: float) -> SGD | Adam | LBFGS:
    """Make pynn's optimizer; `count` is the mean, over batches, of the sum of weights.

    scikit-learn minimizes a multiple of pynn's loss, so its gradients are that multiple of pynn's.
    To get the same steps, SGD's learning rate is multiplied by the factor, and what is added to
    gradients or to their roots, weight decay and epsilon, is divided by it; so is L-BFGS's
    tolerance.
    """
    factor = e._rate.factor
    decay = e.alpha / (count * factor)
    if e.solver == "lbfgs":
        return Counted(
            tolerance=e.tol / factor,
            max_evaluations=min(e.max_fun, MOST_GRADIENTS),
            weight_decay=decay,
        )
    if e.solver == "adam":
        return Adam(
            learning_rate=e._rate.value,
            beta1=e.beta_1,
            beta2=e.beta_2,
            eps=e.epsilon / factor,
            weight_decay=decay,
        )
    return Momentum(
        learning_rate=e._rate(0) if e.learning_rate == "constant" else e._rate,
        momentum=e.momentum,
        nesterov=bool(e.nesterovs_momentum) and e.momentum > 0,
        weight_decay=decay,
    )
