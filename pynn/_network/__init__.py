"""The description of a network, without its computation: layers, loss, parameters. Pure Python.

spec        the chain of layers, from its input to its loss
layers/     a class for each kind of layer
losses      a class for each loss
parameters  the names and shapes of a network's parameters, and where they lie in the flat array
snapshot    a copy of a model: what a file holds and what an export takes
"""
