"""One contender as a process: it reads requests, a line of JSON each, and replies on stdout.

    python benchmarks/worker.py PEER THREADS [MODE]

The harness starts it. These are the requests, by "do", and what the reply has besides "seconds":
    load      data, rows
    build     widths, batch, learning_rate      notes
              network in the place of widths, where the contender trains networks for images
    epoch     wish: about how long to run       loss, cpu_seconds
    predictor batch                             first: the probabilities of the first row; notes
    predict   wish: about how long to run       calls; seconds are those of one call
    save      path
    memory                                      nbytes: the most that this process held at once
    prepare   density, width, batch, wish       steps: how many take about so long (first_layer)
    steps     way, count                        seconds are those of one step (first_layer)
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
import warnings
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))  # python -P and -I leave it out


class Contender:
    """The peer and what it has been told so far."""

    def __init__(self, name: str, threads: int, mode: str) -> None:
        self.peer = importlib.import_module(f"peers.{name}").Peer(threads, mode)
        self.loaded: tuple[str, int] | None = None

    def load(self, data: str, rows: int) -> dict[str, Any]:
        if self.loaded != (data, rows):
            self.peer.load(data, rows)
            self.loaded = (data, rows)
        return {}

    def build(self, **request: Any) -> dict[str, Any]:
        self.peer.build(**request)
        return {"notes": self.peer.notes}

    def epoch(self, wish: float) -> dict[str, Any]:
        """The fastest of epochs that take up to `wish` seconds together, so no hitch is it."""
        answer = self._one_epoch()
        together = answer["seconds"]
        while together + answer["seconds"] < wish:
            again = self._one_epoch()
            together += again["seconds"]
            answer["seconds"] = min(answer["seconds"], again["seconds"])
        return answer

    def _one_epoch(self) -> dict[str, Any]:
        began, cpu_began = time.perf_counter(), time.process_time()
        if hasattr(self.peer, "timed_epoch"):
            return {"seconds": self.peer.timed_epoch()}
        loss = self.peer.epoch()
        seconds = time.perf_counter() - began
        return {"seconds": seconds, "loss": loss, "cpu_seconds": time.process_time() - cpu_began}

    def predictor(self, batch: int) -> dict[str, Any]:
        self.predict_batch = self.peer.predictor(batch)
        first = [float(p) for p in self.predict_batch(0)[0]]
        return {"first": first, "notes": self.peer.notes}

    def predict(self, wish: float) -> dict[str, Any]:
        calls = 1
        while True:  # as many calls as take about that long
            seconds = self._time_calls(calls)
            if seconds >= wish / 4:
                break
            calls *= 2
        calls = max(1, int(calls * wish / seconds))
        return {"seconds": self._time_calls(calls) / calls, "calls": calls}

    def _time_calls(self, calls: int) -> float:
        predict = self.predict_batch
        began = time.perf_counter()
        for i in range(calls):
            predict(i)
        return time.perf_counter() - began

    def save(self, path: str) -> dict[str, Any]:
        self.peer.save(path)
        return {}

    def prepare(self, **request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.peer.prepare(**request)
        return answer

    def steps(self, way: str, count: int) -> dict[str, Any]:
        answer: dict[str, Any] = self.peer.steps(way, count)
        return answer

    def memory(self) -> dict[str, Any]:
        return {"nbytes": peak_memory_nbytes()}


def peak_memory_nbytes() -> int:
    """The most memory this process held. Linux's ru_maxrss can be the parent's; VmHWM is ours."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    # Replies have a stream of their own; what a library prints goes to stderr.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    contender = None
    for line in sys.stdin:
        try:
            if contender is None:
                name, threads, *mode = sys.argv[1:]
                contender = Contender(name, int(threads), mode[0] if mode else "")
            request = json.loads(line)
            began = time.perf_counter()
            answer = getattr(contender, request.pop("do"))(**request)
            answer.setdefault("seconds", time.perf_counter() - began)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
