"""Data sets: IDX files, MNIST's layout of four files, MNIST itself, and folders of images.

read_idx, write_idx   read or write one array in one file
load                  read (train, test) from a directory in MNIST's layout
mnist                 find or download MNIST, and read (train, test)
images                read image files from a directory with one directory for each class
"""

from typing import TYPE_CHECKING

from pynn._base import words as _words
from pynn.datasets._idx import read_idx, write_idx
from pynn.datasets._images import ImageDataset, images
from pynn.datasets._layout import Dataset, load
from pynn.datasets._mnist import mnist

__all__ = ["Dataset", "ImageDataset", "images", "load", "mnist", "read_idx", "write_idx"]

if not TYPE_CHECKING:  # a type checker finds wrong names only without it
    __getattr__ = _words.of_module("datasets", __all__)
