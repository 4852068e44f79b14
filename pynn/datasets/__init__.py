"""Data sets: IDX files, MNIST's four-file layout, and MNIST itself.

read_idx, write_idx   one array, one file
load                  (train, test) from a directory in MNIST's layout
mnist                 (train, test) of MNIST, from wherever it is
"""

from pynn.datasets._idx import read_idx, write_idx
from pynn.datasets._layout import Dataset, load
from pynn.datasets._mnist import mnist

__all__ = ["Dataset", "load", "mnist", "read_idx", "write_idx"]
