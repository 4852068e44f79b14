"""pynn, by its public API."""

from __future__ import annotations

import pynn
from peers.pynn import Peer as PynnPeer


class Peer(PynnPeer):
    def build(self, network: str, batch: int, learning_rate: float) -> None:  # type: ignore[override]
        chain = getattr(pynn.models, network)()
        self.model = chain.softmax_cross_entropy().build(seed=0)
        self.batch = batch
        self.optimizer = pynn.Adam(learning_rate=learning_rate)  # type: ignore[assignment]
