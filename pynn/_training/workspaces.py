"""The workspaces of a model: each is lent to one call at a time, and freed when it is not needed.

Two calls must never use the same workspace at the same time. The engine's lock keeps calls of other
threads away. It does not keep away a nested call of the same thread: a signal handler or a
finalizer may run between two instructions of Python, and may use the same model. The lock must let
it in, because otherwise the thread would wait for itself. So a call takes the workspace, in one
instruction, out of the place where the next call would look for it. A nested call finds nothing
there, and creates another workspace.
"""

from __future__ import annotations

from collections import deque

from pynn._base.errors import OutOfMemoryError
from pynn._native.network import Network
from pynn._native.workspace import Workspace


class Workspaces:
    """A network, and at most one workspace that is ready for the next call.

    The methods are called under the engine's lock.

    Args:
        network: The network; it is kept alive.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._spare: deque[Workspace] = deque(maxlen=1)
        self.give_back = self._spare.append
        """Return a workspace. If a nested call has left one meanwhile, the older is freed."""

    def take(self, batch: int) -> Workspace:
        """Take a workspace for at least so many rows; no other call uses it until give_back().

        If an exception comes before give_back(), the workspace is freed with its last reference,
        and the next call creates another.

        Raises:
            OutOfMemoryError: There is no memory for it.
        """
        try:
            workspace = self._spare.pop()
        except IndexError:
            workspace = None
        if workspace is not None and workspace.max_batch >= batch:
            return workspace
        if workspace is not None:
            workspace.close()  # first, because the larger one may need its memory
        return self._create(batch)

    def close(self) -> None:
        """Free the workspace that is not in use."""
        while self._spare:
            self._spare.pop().close()

    def _create(self, batch: int) -> Workspace:
        """Create a workspace for batches of so many rows."""
        try:
            return Workspace(self.network, batch)
        except OutOfMemoryError:
            raise OutOfMemoryError(f"out of memory for a batch of {batch:,}") from None
