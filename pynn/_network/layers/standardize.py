"""Standardization of the features."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from pynn._base import checks
from pynn._base.arrays import Floats
from pynn._base.batches import flat, place_of, value_name
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._base.formulas import factor, number
from pynn._network.layers import Layer, OnnxGraph, Parameter, Shape

Missing = Literal["error", "mean"]


class Standardize(Layer):
    """y = (x - mean) / scale, for each feature; the first layer only.

    The first call of `fit` finds mean and scale in its examples; later training does not change
    them. Before that the scale is 0. With `robust` they are the median and the range of the middle
    half, divided by that of a normal distribution. Then y is cut to [-clip, clip]; and with
    `missing` "mean" a missing x, which is NaN, gives y = 0.
    """

    kind = "standardize"
    options = ("robust", "clip", "missing")
    hidden: ClassVar[dict[str, Any]] = {"robust": False, "clip": None, "missing": "error"}
    positional = 0
    reads_features = True
    torch_module = ""

    robust: bool
    clip: float | None
    missing: Missing

    def __init__(
        self, *, robust: bool = False, clip: float | None = None, missing: Missing = "error"
    ) -> None:
        if not isinstance(robust, bool):
            raise ArgumentTypeError(
                f"standardize robust must be True or False, got {checks.describe(robust)}"
            )
        if clip is not None:
            clip = checks.real("standardize clip", clip, above=0.0)
        if not isinstance(missing, str):
            raise ArgumentTypeError(
                f"standardize missing must be 'error' or 'mean', got {checks.describe(missing)}"
            )
        if missing not in ("error", "mean"):
            raise ArgumentError(
                f"standardize missing must be 'error' or 'mean', got {checks.describe(missing)}"
            )
        super().__init__(robust=robust, clip=clip, missing=missing)

    def __str__(self) -> str:
        parts = ["robust"] if self.robust else []
        parts += [f"clip {checks.shown(self.clip)}"] if self.clip is not None else []
        parts += [f"missing {self.missing}"] if self.takes_missing else []
        return f"standardize({', '.join(parts)})" if parts else "standardize"

    @property
    def takes_missing(self) -> bool:
        """Whether NaN may stand for a missing feature."""
        return self.missing == "mean"

    def c_struct(self, shape: Shape) -> dict[str, Any]:
        return {"clip": self.clip or 0.0, "missing": int(self.takes_missing)}

    def parameters(self, shape: Shape) -> tuple[Parameter, ...]:
        width = (math.prod(shape),)
        return Parameter("mean", width, trained=False), Parameter("scale", width, trained=False)

    # ------------------------------------------------------------ explain

    def forward_marks(self, *, sparse: bool) -> tuple[str, ...]:
        marks = ["standardize.Y"]
        marks += ["standardize.missing"] if self.takes_missing else []
        marks += ["standardize.clip"] if self.clip is not None else []
        return tuple(marks)

    def gradient_marks(self, *, sparse: bool) -> dict[str, str]:
        return {}

    def update_mark(self, name: str) -> str:
        return "standardize.kept"

    def written_out(self, arrays: Mapping[str, Floats], row: int, output: int) -> str:
        x, y = float(flat(arrays["X"])[row, output]), float(flat(arrays["Y"])[row, output])
        name = value_name("y", place_of(arrays["Y"], output))
        mean, scale = arrays["mean"][output], arrays["scale"][output]
        value = f"({number(x)} - {factor(mean)}) / {number(scale)}"
        if math.isnan(x):
            return ""
        if self.clip is not None:
            value = f"min(max({value}, -{number(self.clip)}), {number(self.clip)})"
        return f"{name} = {value} = {number(y)}"

    def remarks(self, arrays: Mapping[str, Floats], *, sparse: bool) -> list[str]:
        found = []
        if missing := int(np.isnan(arrays["X"]).sum()):
            found.append(f"{missing:,} of {arrays['X'].size:,} values are missing: their y is 0")
        if self.clip is not None:
            cut = int((np.abs(arrays["Y"]) == np.float32(self.clip)).sum())
            found.append(f"{cut:,} of {arrays['Y'].size:,} values are cut")
        return found

    # ------------------------------------------------------------ export

    def add_to_onnx(
        self,
        graph: OnnxGraph,
        x: str,
        parameters: Sequence[str],
        name: str,
        output: str,
        shape: Shape,
    ) -> None:
        """Add Sub and Div; and IsNaN with Where, and Clip, if there are these options."""
        mean, scale = (graph.reshaped(parameter, shape) for parameter in parameters)
        steps = ["scaled", *["filled"] * self.takes_missing, *["cut"] * (self.clip is not None)]
        names = {step: f"{name}.{step}" for step in steps} | {steps[-1]: output}
        centered = graph.add("Sub", [x, mean], f"{name}.centered")
        value = graph.add("Div", [centered, scale], names["scaled"])
        if self.takes_missing:
            is_missing = graph.add("IsNaN", [x], f"{name}.is_missing")
            zero = graph.constant(f"{name}.zero", 0.0)
            value = graph.add("Where", [is_missing, zero, value], names["filled"])
        if self.clip is not None:
            limits = [graph.constant(f"{name}.least", -self.clip)]
            limits += [graph.constant(f"{name}.most", self.clip)]
            graph.add("Clip", [value, *limits], names["cut"])

    def c_function(self) -> str:
        lines = ["float value = (x[i] - mean[i]) / scale[i];"]
        if self.takes_missing:
            lines.append("if (x[i] != x[i]) value = 0.0f; /* a missing x is NaN */")
        if self.clip is not None:
            lines.append("if (value > clip) value = clip;")
            lines.append("if (value < -clip) value = -clip;")
        body = "\n".join(f"        {line}" for line in [*lines, "y[i] = value;"])
        options = "" if self.clip is None else "float clip, "
        words = ", cut to -clip to clip" * bool(options)
        return f"""\
/* y = (x - mean) / scale{words}; x and y (count) may be the same array. */
static void standardize_layer(size_t count, {options}const float *x, const float *mean,
                              const float *scale, float *y) {{
    for (size_t i = 0; i < count; i++) {{
{body}
    }}
}}
"""

    def c_options(self) -> tuple[float, ...]:
        return () if self.clip is None else (self.clip,)
