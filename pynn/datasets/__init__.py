"""Data sets: IDX files, MNIST's layout of four files, and MNIST itself.

read_idx, write_idx   read or write one array in one file
load                  read (train, test) from a directory in MNIST's layout
mnist                 find or download MNIST, and read (train, test)
"""

from pynn.datasets._idx import read_idx, write_idx
from pynn.datasets._layout import Dataset, load
from pynn.datasets._mnist import mnist

__all__ = ["Dataset", "load", "mnist", "read_idx", "write_idx"]
