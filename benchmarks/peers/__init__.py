"""The contenders. Each module has a class `Peer` with the methods of `peers.common.Peer`."""
