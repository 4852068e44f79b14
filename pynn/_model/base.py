"""What all parts of a model share: its engine, and the check of examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pynn._base import checks, vocabulary, words
from pynn._base.errors import ArgumentTypeError
from pynn._network.class_names import numbered
from pynn._network.spec import Spec
from pynn._training.engine import Engine
from pynn._training.examples import Examples, make_data, make_examples


class ModelBase:
    """A model without methods for users.

    Args:
        engine: The network, its parameters, and the state of its training.
    """

    def __init__(self, engine: object = None) -> None:
        if not isinstance(engine, Engine):
            raise ArgumentTypeError(
                "a Model is made by Builder()...build() or pynn.load(path)"
                + ("" if engine is None else f", not from {checks.describe(engine)}")
            )
        self._engine = engine

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Raise the error for an attribute that the model does not have."""
            if hasattr(type(self), name):  # a property, whose own error is to be seen
                return object.__getattribute__(self, name)
            words.refuse(self, name, vocabulary.MODELS, vocabulary.OF_MODELS)

    @property
    def _spec(self) -> Spec:
        """The chain of layers and its loss."""
        return self._engine.spec

    def _examples(
        self, features: object, labels: object, sample_weight: object, *, learning: bool
    ) -> Examples:
        """Check and prepare the examples of a call of `partial_fit`, `explain` or `evaluate`.

        `learning` tells whether labels may give the model the names of its classes.
        """
        engine = self._engine
        engine.open()
        spec = engine.spec
        numbers, classes = numbered("labels", labels, spec, engine.classes, learning=learning)
        data = make_data(spec, "", features, numbers)
        return make_examples(spec, engine.seed, data, None, sample_weight, None, classes)
