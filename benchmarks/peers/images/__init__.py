"""The contenders that train the networks for images, lenet and small_cnn of pynn.models.

Each module has a class `Peer` with the methods of `peers.common.Peer`, but that `build` is told the
network by its name. All train with Adam, from weights of the same distribution: normal, with the
variance 2 / (the inputs of a value); biases are 0.
"""
