"""Learning rates that change from step to step: `SGD(learning_rate=schedules.Cosine(...))`.

A schedule is any callable that takes the number of a step and returns that step's learning rate.
Steps are counted from 0 over all calls of `fit`. The rates of the schedules here depend only on
that number and on the constructor's arguments. So the rates go on correctly where a run is resumed,
or where a second `fit` continues the first.

>>> import pynn
>>> schedule = pynn.schedules.WarmUp(pynn.schedules.Cosine(0.1, steps=900), steps=100)
>>> [round(schedule(step), 4) for step in (0, 99, 100, 550, 1000)]
[0.001, 0.1, 0.1, 0.05, 0.0]
"""

from typing import TYPE_CHECKING

from pynn._base import words as _words
from pynn._training.schedules import Constant, Cosine, OneCycle, Schedule, StepDecay, WarmUp

__all__ = ["Constant", "Cosine", "OneCycle", "Schedule", "StepDecay", "WarmUp"]

if not TYPE_CHECKING:  # a type checker finds wrong names only without it
    __getattr__ = _words.of_module("schedules", __all__)
