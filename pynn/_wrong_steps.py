"""The errors for calls that cannot come at their place in a chain: what may come instead."""

from __future__ import annotations

from typing import NoReturn

from pynn._base import vocabulary, words
from pynn._base.errors import ChainError
from pynn._network.layers import Layer, Shape
from pynn._network.losses import Loss
from pynn._network.spec import has_product

Place = tuple[tuple[Layer, ...], Shape]
"""Where a chain takes layers: those that it has, and the shape of an example behind them."""


def refuse(state: object, name: str, chain: tuple[type, ...], place: Place | None) -> NoReturn:
    """Raise the error for an attribute that a state of the chain does not have.

    The attribute may be a step that cannot come now, a method of a model, a word of another
    library, or any other name. Only a name without an underscore is looked at: copy and pickle
    look up others while the object is still empty, and repr(state) would fail then.

    Args:
        state: The chain as it is.
        name: The attribute.
        chain: The classes of all states, in their order.
        place: Where the chain is, if it takes layers now.
    """
    what = f"{type(state).__name__!r} object"
    if name.startswith("_"):
        raise AttributeError(f"{what} has no attribute {name!r}")
    steps = [step for one in chain for step in _steps_of(one)]
    offered = _offered(type(state), name in _steps_of(chain[-1]), place)
    said = words.missing(what, name, steps, vocabulary.STEPS, vocabulary.OF_CHAINS, form=".{}()")
    message = said.message
    if name in steps:
        message = f".{name}() cannot come after {state!r}"
    elif said.known and (said.meant in offered or not said.meant):
        raise ChainError(message)
    elif not said.meant and (method := words.find(name, vocabulary.MODELS)):
        says = "" if method == name else f" (where pynn says .{method})"
        raise ChainError(
            f".{name} belongs to a model{says}, and {state!r} is a chain: after its loss, .build()"
            " makes the model"
        )
    kind = None if place is None else Layer.kinds.get(said.meant)
    if kind is not None and kind.needs_images:
        raise ChainError(
            f"{message}, which needs images; begin the chain with .input((channels, height, width))"
        )
    if kind is not None and kind.reads_features:
        raise ChainError(f"{message}, which comes directly behind .input(...)")
    raise ChainError(
        f"{message}; what may come next: {', '.join(f'.{step}()' for step in offered)}"
    )


def _offered(state: type, needs_loss: bool, place: Place | None) -> list[str]:
    """The steps that may come next; only the losses if what is wanted has to come after one."""
    steps = list(_steps_of(state))
    if place is None:
        return steps
    layers, shape = place
    ready = has_product(layers)
    if ready and needs_loss:
        return [step for step in steps if step in Loss.kinds]
    images = {step for step in steps if step in Layer.kinds and Layer.kinds[step].needs_images}
    impossible = set() if len(shape) == 3 else images
    if layers:
        impossible |= {kind for kind, layer in Layer.kinds.items() if layer.reads_features}
    return [step for step in steps if step not in impossible and (ready or step not in Loss.kinds)]


def _steps_of(builder: type) -> tuple[str, ...]:
    """The names of a class's public methods, in the order of their definition."""
    return tuple(name for name in vars(builder) if not name.startswith("_"))
