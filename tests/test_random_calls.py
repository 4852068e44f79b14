"""Sequences of calls that nobody thought of, always the same: see api_machine.py.

`scripts/fuzz SECONDS api` tries others, and makes one that fails shorter.
"""

from __future__ import annotations

import pytest
from api_machine import ApiMachine
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

FEW = settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=50,
    phases=[Phase.generate],
    stateful_step_count=30,
    suppress_health_check=list(HealthCheck),
)


def run(machine: type[RuleBasedStateMachine]) -> None:
    """Run sequences of a machine's calls."""
    run_state_machine_as_test(machine, settings=FEW)


def test_random_calls_of_models() -> None:
    """Twins give the same bits and errors, all of them documented, and stay finite."""
    run(ApiMachine)


def test_random_calls_of_estimators() -> None:
    """Those of pynn.sklearn give the same bits, and errors that scikit-learn raises, too."""
    pytest.importorskip("sklearn")
    from estimator_machine import EstimatorMachine

    run(EstimatorMachine)
