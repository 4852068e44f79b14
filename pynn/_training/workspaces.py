"""The workspaces of a model: each is lent to one call at a time, and freed when nobody uses it.

A lock keeps other threads away, but not the call's own: a signal handler runs there between two
instructions of Python, and so does a finalizer, and either may use the model that the call uses.
The lock lets them in, because otherwise the thread would wait for itself. So what a call works with
is its own: in one instruction it takes the workspace out of the place where the next call would
look. A nested call finds nothing there, and makes another.
"""

from __future__ import annotations

from collections import deque

from pynn._base.errors import OutOfMemoryError
from pynn._native.network import Network
from pynn._native.workspace import Workspace


class Workspaces:
    """A network, and a workspace for the next call.

    Args:
        network: The network; kept alive.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._spare: deque[Workspace] = deque(maxlen=1)
        self.give_back = self._spare.append
        """End a loan. A workspace that a nested call has left there meanwhile is freed."""

    def take(self, batch: int) -> Workspace:
        """A workspace for at least so many rows, which nobody else uses until it is given back.

        Where an exception keeps it from being given back it is freed, and the next call makes one.

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
            workspace.close()  # before the larger one, which may need its memory
        return self._create(batch)

    def close(self) -> None:
        """Free the workspace that nobody uses."""
        while self._spare:
            self._spare.pop().close()

    def _create(self, batch: int) -> Workspace:
        try:
            return Workspace(self.network, batch)
        except OutOfMemoryError:
            raise OutOfMemoryError(f"out of memory for a batch of {batch:,}") from None
