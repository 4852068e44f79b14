"""Record PyTorch's first 100 steps with each optimizer and schedule, for test_optimizers.py.

    pip install torch==2.13.0 numpy
    python tests/parity/record_optimizers.py

writes optimizers.json beside this file. Data and first parameters are made here from NumPy alone.
PyTorch computes in float64: what is compared is the formula, and one side's rounding is enough.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

RECORDED = Path(__file__).with_name("optimizers.json")
INPUTS, HIDDEN, CLASSES = 12, 16, 4
BATCH_SIZE, STEPS = 32, 100

# The optimizer's kind and options, as pynn has them, and the name of a schedule below.
CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "sgd": ("SGD", {}, "constant"),
    "momentum": ("SGD", {"momentum": 0.9}, "constant"),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}, "constant"),
    "decay": ("SGD", {"weight_decay": 0.01}, "constant"),
    "momentum and decay": ("SGD", {"momentum": 0.8, "weight_decay": 0.02}, "constant"),
    "clipped": ("SGD", {"max_gradient_norm": 0.05}, "constant"),
    "adam": ("Adam", {}, "constant"),
    "adam and decay": ("Adam", {"weight_decay": 0.01}, "constant"),
    "adam, other betas": ("Adam", {"beta1": 0.8, "beta2": 0.99, "eps": 1e-3}, "constant"),
    "adam, clipped": ("Adam", {"max_gradient_norm": 0.1, "eps": 1e-4}, "constant"),
    "adamw": ("AdamW", {"weight_decay": 0.05}, "constant"),
    "step": ("SGD", {"momentum": 0.9}, "step"),
    "cosine": ("SGD", {}, "cosine"),
    "cosine, adam": ("AdamW", {}, "cosine"),
    "one cycle": ("SGD", {"momentum": 0.5}, "one cycle"),
    "warm-up": ("SGD", {}, "warm-up"),
}
RATES = {"SGD": 0.1, "Adam": 0.005, "AdamW": 0.005}


def initial_parameters() -> list[npt.NDArray[np.float32]]:
    """W (I, O) and b (O,) of both dense layers."""
    random = np.random.RandomState(7)
    shapes = [(INPUTS, HIDDEN), (HIDDEN,), (HIDDEN, CLASSES), (CLASSES,)]
    return [random.uniform(-0.4, 0.4, shape).astype(np.float32) for shape in shapes]


def examples() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """A batch for each step: (STEPS, BATCH_SIZE, INPUTS) and (STEPS, BATCH_SIZE)."""
    random = np.random.RandomState(8)
    x = random.normal(size=(STEPS, BATCH_SIZE, INPUTS)).astype(np.float32)
    teacher = random.normal(size=(INPUTS, CLASSES))
    return x, (x @ teacher + random.normal(size=(STEPS, BATCH_SIZE, CLASSES))).argmax(-1).astype(
        np.int32
    )


def train_with_pytorch(name: str) -> dict[str, Any]:
    """Each step's mean loss before its update, and norms of the parameters after the last."""
    import torch

    kind, options, schedule = CASES[name]
    tensors = [torch.from_numpy(array).double() for array in initial_parameters()]
    first, second = torch.nn.Linear(INPUTS, HIDDEN), torch.nn.Linear(HIDDEN, CLASSES)
    model = torch.nn.Sequential(first, torch.nn.Tanh(), second).double()
    with torch.no_grad():
        for linear, weight, bias in ((first, *tensors[:2]), (second, *tensors[2:])):
            linear.weight.copy_(weight.T)
            linear.bias.copy_(bias)
    optimizer = _optimizer(torch, kind, options, [first, second])
    scheduler = _schedules(torch, RATES[kind])[schedule](optimizer)
    losses = []
    for x, labels in zip(*examples(), strict=True):
        optimizer.zero_grad()
        outputs = model(torch.from_numpy(x).double())
        loss = torch.nn.functional.cross_entropy(outputs, torch.from_numpy(labels).long())
        loss.backward()
        if "max_gradient_norm" in options:
            torch.nn.utils.clip_grad_norm_(model.parameters(), options["max_gradient_norm"])
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    parameters = [p for linear in (first, second) for p in (linear.weight, linear.bias)]
    return {"losses": losses, "norms": [p.norm().item() for p in parameters]}


def _optimizer(torch: Any, kind: str, options: dict[str, Any], linears: list[Any]) -> Any:
    """pynn's options in PyTorch's words. Biases do not decay."""
    rest = {
        name: value
        for name, value in options.items()
        if name not in ("max_gradient_norm", "weight_decay", "beta1", "beta2")
    }
    if kind != "SGD":
        rest["betas"] = (options.get("beta1", 0.9), options.get("beta2", 0.999))
    decay = options.get("weight_decay", 0.01 if kind == "AdamW" else 0.0)
    groups = [
        {"params": [linear.weight for linear in linears], "weight_decay": decay},
        {"params": [linear.bias for linear in linears], "weight_decay": 0.0},
    ]
    return getattr(torch.optim, kind)(groups, lr=RATES[kind], **rest)


def _schedules(torch: Any, rate: float) -> dict[str, Callable[[Any], Any]]:
    lr = torch.optim.lr_scheduler
    return {
        "constant": lambda o: lr.ConstantLR(o, factor=1.0),
        "step": lambda o: lr.StepLR(o, step_size=30, gamma=0.5),
        "cosine": lambda o: lr.CosineAnnealingLR(o, T_max=STEPS, eta_min=0.001),
        "one cycle": lambda o: lr.OneCycleLR(
            o, max_lr=2 * rate, total_steps=STEPS + 1, cycle_momentum=False
        ),
        "warm-up": lambda o: lr.SequentialLR(
            o,
            [
                lr.LinearLR(o, start_factor=1 / 10, total_iters=9),
                lr.CosineAnnealingLR(o, T_max=STEPS - 10),
            ],
            milestones=[10],
        ),
    }


def main() -> None:
    """Record all cases."""
    import torch

    recorded = {
        "torch": torch.__version__.split("+")[0],
        "cases": {name: train_with_pytorch(name) for name in CASES},
    }
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
