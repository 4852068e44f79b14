"""Measurements with contenders that stay alive: epochs, predictions, a busy core, memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from figures import Case
from harness import Answer, Contender, Failure, Worker, Workers, take_turns, usable_cores

LEARNING_RATE = 0.05
ROWS = 60_000
BATCHES = (16, 32, 128, 512, 4096)
HIDDEN = (64, 256, 1024, 2048)
GRID_BATCHES = BATCHES[::2]  # of the grid with all peers, which would take hours
GRID_ROWS = {64: 16_384, 256: 16_384, 1024: 4_096, 2048: 2_048}  # by width; but a batch at least
SECONDS_A_TURN = 2.0
PREDICTED = (1, 128, 10_000)

BOUNDS = [
    Contender("gemm", 1, "serial"),
    Contender("gemm", 2, "blas"),
    Contender("gemm", 2, "halves"),
]
INDEPENDENT = Contender("gemm", 2, "independent")
COMPILED = [Contender("torch", 1, "compile"), Contender("torch", 2, "compile")]


def both(*peers: str) -> list[Contender]:
    """Every peer at one and at two threads."""
    return [Contender(peer, threads) for peer in peers for threads in (1, 2)]


class Shape(NamedTuple):
    """What an epoch trains: 784-hidden-hidden/4-10 on `rows` rows of a data set, in batches."""

    data: str
    batch: int = 128
    hidden: int = 256
    rows: int = ROWS

    @property
    def name(self) -> str:
        return f"{self.data} batch {self.batch} width {self.hidden}"

    @property
    def widths(self) -> list[int]:
        return network(self.hidden)


def network(hidden: int) -> list[int]:
    return [784, hidden, hidden // 4, 10]


def grid_shape(data: str, batch: int, hidden: int) -> Shape:
    """A cell of the grid. The wide networks see fewer rows, or it would take the day."""
    return Shape(data, batch, hidden, {1024: 16_384, 2048: 8_192}.get(hidden, ROWS))


def epochs(
    workers: Workers,
    shape: Shape,
    contenders: Sequence[Contender],
    rounds: int,
    wish: float = SECONDS_A_TURN,
) -> Case:
    """Rounds of turns: an epoch, or the fastest of several that fit into `wish` seconds.

    An epoch before them warms up, and shows that all learn alike.
    """
    known: dict[str, Answer] = {}
    turns = {}
    for contender in contenders:
        worker = workers.get(contender)
        try:
            known[contender.name] = set_up(worker, shape)
        except Failure as failure:
            workers.give_up(contender, failure)
            if contender.peer == "pynn":
                raise
        else:
            turns[contender.name] = lambda worker=worker: worker.ask("epoch", wish=wish)
    return {"shape": shape._asdict(), "contenders": known, "rounds": take_turns(turns, rounds)}


def set_up(worker: Worker, shape: Shape) -> Answer:
    """Load the data, build the network and warm up; return the first loss and notes."""
    worker.ask("load", data=shape.data, rows=shape.rows)
    built = worker.ask("build", widths=shape.widths, batch=shape.batch, learning_rate=LEARNING_RATE)
    first = worker.ask("epoch", wish=0.0)
    return {"first_loss": first.get("loss"), **built["notes"]}


def predictions(
    workers: Workers, batch: int, contenders: Sequence[Contender], rounds: int, wish: float = 0.3
) -> Case:
    """Rounds of calls for `wish` seconds that predict `batch` test images each."""
    known: dict[str, Answer] = {}
    turns = {}
    for contender in contenders:
        worker = workers.get(contender)
        try:
            worker.ask("load", data="mnist", rows=1024)
            worker.ask("build", widths=network(256), batch=128, learning_rate=LEARNING_RATE)
            known[contender.name] = {"first": worker.ask("predictor", batch=batch)["first"]}
        except Failure as failure:
            workers.give_up(contender, failure)
            if contender.peer == "pynn":
                raise
        else:
            turns[contender.name] = lambda worker=worker: worker.ask("predict", wish=wish)
    return {"batch": batch, "contenders": known, "rounds": take_turns(turns, rounds)}


def busy(workers: Workers, shape: Shape, rounds: int) -> Case:
    """Epochs of pynn on two threads, with all cores free and with the first one kept busy."""
    worker = workers.get(Contender("pynn", 2))
    set_up(worker, shape)
    core = usable_cores()[0]

    def turn() -> Answer:
        with subprocess.Popen([sys.executable, "-c", BUSY.format(core=core)]) as spinning:
            try:
                time.sleep(0.3)
                return worker.ask("epoch", wish=SECONDS_A_TURN)
            finally:
                spinning.kill()

    turns = {"free": lambda: worker.ask("epoch", wish=SECONDS_A_TURN), "busy": turn}
    contenders: dict[str, Any] = {name: {} for name in turns}
    return {
        "shape": shape._asdict(),
        "contenders": contenders,
        "rounds": take_turns(turns, rounds),
    }


BUSY = """
import os
os.sched_setaffinity(0, {{{core}}})
while True:
    pass
"""


def memory(contenders: Sequence[Contender], shape: Shape) -> Case:
    """The most memory that a process of each contender held: its data, and one epoch."""
    peaks: dict[str, Answer] = {}
    for contender in contenders:
        with Worker(contender) as worker:
            try:
                set_up(worker, shape)
                peaks[contender.name] = {"peak_nbytes": worker.ask("memory")["nbytes"]}
            except Failure as failure:
                print(f"  left out: {failure}", file=sys.stderr)
    return {"shape": shape._asdict(), "contenders": peaks, "rounds": []}
