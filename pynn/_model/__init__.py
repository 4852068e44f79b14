"""The public class Model, and load(). Each module here has the methods for one purpose.

The methods check their arguments and call the engine.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any

from pynn._base import checks, words
from pynn._model.description import DescribedModel
from pynn._model.prediction import PredictingModel
from pynn._model.reuse import ReusedModel
from pynn._model.saving import SavedModel
from pynn._model.training import TrainedModel
from pynn._native.network import Network
from pynn._network.spec import Spec
from pynn._training import checkpoints
from pynn._training.engine import Engine


@words.corrected
class Model(TrainedModel, PredictingModel, DescribedModel, ReusedModel, SavedModel):
    """A network with its parameters. `Builder...build()` and `pynn.load` make one.

    Several threads may use a model at the same time: it locks itself. A signal handler may use a
    model in the middle of another call of it, but must not train it while it is being trained. A
    model is a context manager: at the end of a `with` statement it is closed.

    Examples:
        >>> import numpy as np, pynn
        >>> chain = pynn.Builder().input(2).dense(16).relu().dense(2)
        >>> model = chain.softmax_cross_entropy().build(seed=1)
        >>> x = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
        >>> y = (x[:, 0] * x[:, 1] > 0).astype(np.uint8)  # which quadrants?
        >>> sgd = pynn.SGD(learning_rate=0.3)
        >>> history = model.fit(x, y, epochs=40, batch_size=10, optimizer=sgd)
        >>> model.evaluate(x, y).accuracy > 0.97
        True
        >>> model.predict(np.array([[1, 1], [1, -1]], dtype=np.float32)).tolist()
        [1, 0]
    """

    @classmethod
    def _create(cls, spec: Spec, seed: int) -> Model:
        """Make a model with initial weights drawn from the seed."""
        network = Network(spec)
        return cls(Engine(spec, network, network.initialize(seed), seed))

    @classmethod
    def resume(cls, path: str | os.PathLike[str]) -> Model:
        """Read a checkpoint of `fit`, so that the same call of `fit` can continue the run.

        The model is as it was at the checkpoint, and its next `fit` continues the run from there.
        It must have the same examples, batch size and optimizer. It ends with the same parameters,
        to the bit, as a run that was never interrupted, and returns the metrics of all epochs. (To
        use the parameters for something else, `load` the file.)

        Args:
            path: The file that `fit` was given as `checkpoint`.

        Returns:
            The model.

        Raises:
            ArgumentTypeError: `path` is not a path.
            OSError: The file does not exist or cannot be read.
            FileFormatError: It is not a checkpoint, has an unknown version, or is damaged.

        Examples:
            >>> import numpy as np, pynn
            >>> x = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
            >>> y = (x[:, 0] > x[:, 1]).astype(np.uint8)
            >>> model = pynn.Builder().input(2).dense(2).softmax_cross_entropy().build(seed=1)
            >>> history = model.fit(x, y, epochs=3, checkpoint="run.checkpoint")
            >>> again = pynn.Model.resume("run.checkpoint")
            >>> again.fit(x, y, epochs=5, checkpoint="run.checkpoint").epochs
            5
        """
        return cls(checkpoints.resume(checks.path("path", path)))

    def __getstate__(self) -> dict[str, Any]:
        """Copy the model into plain values and arrays, for pickle, copy and the like."""
        return checkpoints.to_dict(self._engine)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become an independent model with the same parameters and state."""
        Model.__init__(self, checkpoints.from_dict(state))

    def close(self) -> None:
        """Free the network and its workspace at once. A second call does nothing.

        If another thread is in a call of the model, close() waits until this call has finished its
        present piece of work; unless this was the last one, the call then raises a ClosedError. If
        a signal handler closes the model in the middle of a call of the same thread, the memory
        that this call uses is freed when it ends.
        """
        self._engine.close()

    def __enter__(self) -> Model:
        self._engine.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@words.corrected
def load(path: str | os.PathLike[str]) -> Model:
    """Read a model that `Model.save` wrote.

    Args:
        path: The file.

    Returns:
        The model. It predicts as the saved one did, and can be trained further.

    Raises:
        ArgumentTypeError: `path` is not a path.
        OSError: The file does not exist or cannot be read.
        FileFormatError: It is not a model of pynn, has an unknown version, or is damaged.
    """
    return Model(checkpoints.load(checks.path("path", path)))
