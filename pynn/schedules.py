"""Learning rates that change from step to step: `SGD(learning_rate=schedules.Cosine(...))`.

A schedule is called with the number of a step, from 0 and counted over all calls of `fit`, and
gives that step's learning rate. Any callable that does so is one. These know no more than their
arguments, so that a run that is resumed, or continued by a second `fit`, goes on with them.

>>> import pynn
>>> schedule = pynn.schedules.WarmUp(pynn.schedules.Cosine(0.1, steps=900), steps=100)
>>> [round(schedule(step), 4) for step in (0, 99, 100, 550, 1000)]
[0.001, 0.1, 0.1, 0.05, 0.0]
"""

from pynn._training.schedules import Constant, Cosine, OneCycle, Schedule, StepDecay, WarmUp

__all__ = ["Constant", "Cosine", "OneCycle", "Schedule", "StepDecay", "WarmUp"]
