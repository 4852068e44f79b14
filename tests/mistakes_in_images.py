"""Mistakes in convolutional chains, and in the images that their models are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mistakes import FORMAT, NO_DATA, TYPE, VALUE, Bench, Mistake
from PIL import Image

import pynn

GREY: Any = pynn.Builder().input((1, 8, 6))  # Any, as a type checker would stop what is done here
COLOUR: Any = pynn.Builder().input((3, 8, 6))
MODEL = COLOUR.conv2d(4, 3).relu().dense(3).softmax_cross_entropy().build()
WIDEST = 2**31 - 1

IMAGES: dict[str, Mistake] = {
    "an input of four numbers": Mistake(
        lambda bench: pynn.Builder().input((128, 1, 28, 28)),
        VALUE,
        ("(channels, height, width), got (128, 1, 28, 28)",),
    ),
    "an input without channels": Mistake(
        lambda bench: pynn.Builder().input((0, 28, 28)),
        VALUE,
        ("input must be in [1, 2147483647], got 0",),
    ),
    "an input of too many values": Mistake(
        lambda bench: pynn.Builder().input((3, 2**16, 2**16)),
        VALUE,
        ("input (3, 65536, 65536) has 12,884,901,888 values", "at most 2,147,483,647"),
    ),
    "an input of lengths that are not whole": Mistake(
        lambda bench: pynn.Builder().input((1, 28.0, 28)),  # type: ignore[arg-type]
        TYPE,
        ("input must be an integer, got float 28.0",),
    ),
    "a convolution of rows": Mistake(
        lambda bench: pynn.Builder().input(784).conv2d(6, 5),
        VALUE,
        (
            "layer 1: conv2d needs images, and here are rows of 784 values",
            ".input((channels, height, width))",
        ),
    ),
    "a pool behind a dense layer": Mistake(
        lambda bench: GREY.dense(10).max_pool2d(2),
        VALUE,
        ("layer 3: max_pool2d needs images, and here are rows of 10 values",),
    ),
    "a mean of rows": Mistake(
        lambda bench: GREY.flatten().global_avg_pool(),
        VALUE,
        ("layer 2: global_avg_pool needs images, and here are rows of 48 values",),
    ),
    "no filters": Mistake(
        lambda bench: GREY.conv2d(0, 3), VALUE, ("layer 1: conv2d filters must be in [1, ",)
    ),
    "a filter of no size": Mistake(
        lambda bench: GREY.conv2d(4, 0), VALUE, ("layer 1: conv2d size must be in [1, ", "got 0")
    ),
    "a filter of three sizes": Mistake(
        lambda bench: GREY.conv2d(4, (3, 3, 3)),
        VALUE,
        ("layer 1: conv2d size must be an integer, or a height and a width, got 3 of them",),
    ),
    "a filter of a size in words": Mistake(
        lambda bench: GREY.conv2d(4, "3x3"),
        TYPE,
        ("layer 1: conv2d size must be an integer, got str '3x3'",),
    ),
    "a filter that is larger than the image": Mistake(
        lambda bench: GREY.conv2d(4, 7, padding="valid"),
        VALUE,
        (
            "layer 1: conv2d: a filter of 7 x 7 is larger than the image, which is 8 x 6, with"
            " padding 'valid'",
        ),
    ),
    "a filter that is larger than the padded image": Mistake(
        lambda bench: GREY.conv2d(4, 9, padding=1),
        VALUE,
        ("a filter of 9 x 9 is larger than the image, which is 8 x 6, with padding 1",),
    ),
    "an image that pools have made too small": Mistake(
        lambda bench: GREY.max_pool2d(2).max_pool2d(2).max_pool2d(2),
        VALUE,
        ("layer 3: max_pool2d: a window of 2 x 2 is larger than the image, which is 2 x 1",),
    ),
    "a stride of 0": Mistake(
        lambda bench: GREY.conv2d(4, 3, stride=0),
        VALUE,
        ("layer 1: conv2d stride must be in [1, ",),
    ),
    "strides by direction": Mistake(
        lambda bench: GREY.conv2d(4, 3, stride=(2, 1)),
        TYPE,
        ("layer 1: conv2d stride must be an integer, got tuple (2, 1)",),
    ),
    "an unknown padding": Mistake(
        lambda bench: GREY.conv2d(4, 3, padding="full"),
        VALUE,
        ("layer 1: conv2d: padding must be 'same', 'valid' or the zeros on each side, got 'full'",),
    ),
    "a padding below 0": Mistake(
        lambda bench: GREY.conv2d(4, 3, padding=-1),
        VALUE,
        ("layer 1: conv2d padding must be in [0, ", "got -1"),
    ),
    "groups that do not divide the channels": Mistake(
        lambda bench: COLOUR.conv2d(4, 3, groups=2),
        VALUE,
        ("layer 1: conv2d: 3 channels cannot be divided into 2 groups",),
    ),
    "groups that do not divide the filters": Mistake(
        lambda bench: COLOUR.conv2d(4, 3, groups=3),
        VALUE,
        ("layer 1: conv2d: 4 filters cannot be divided into 3 groups",),
    ),
    "an activation as an option of a convolution": Mistake(
        lambda bench: GREY.conv2d(4, 3, activation="relu"), (TypeError,), ("'activation'",)
    ),
    "an unknown init of a convolution": Mistake(
        lambda bench: GREY.conv2d(4, 3, init="zeros"),
        VALUE,
        ("layer 1: conv2d: init must be 'he' or 'xavier', got 'zeros'",),
    ),
    "more outputs than a layer has": Mistake(
        lambda bench: GREY.conv2d(WIDEST, 1),
        VALUE,
        ("layer 1: conv2d: outputs (2147483647, 8, 6) are 103,079,215,056 values", "at most"),
    ),
    "a window without a stride": Mistake(
        lambda bench: GREY.max_pool2d((2, 3)),
        VALUE,
        ("layer 1: max_pool2d: a window of 2 x 3 needs a stride, one integer for both",),
    ),
    "a window that is mostly padding": Mistake(
        lambda bench: GREY.avg_pool2d(2, padding=2),
        VALUE,
        ("layer 1: avg_pool2d padding must be in [0, 1], got 2",),
    ),
    "a momentum of 0": Mistake(
        lambda bench: GREY.batch_norm(0.0),
        VALUE,
        ("layer 1: batch_norm momentum must be above 0 and at most 1, got 0",),
    ),
    "a momentum that is a decay": Mistake(
        lambda bench: GREY.batch_norm(momentum=1.1),
        VALUE,
        ("layer 1: batch_norm momentum must be above 0 and at most 1, got 1.1",),
    ),
    "an eps of 0": Mistake(
        lambda bench: GREY.batch_norm(eps=0),
        VALUE,
        ("layer 1: batch_norm eps must be at least 1.1754944e-38",),
    ),
    "images whose channels come last": Mistake(
        lambda bench: MODEL.predict(np.zeros((5, 8, 6, 3), np.uint8)),
        VALUE,
        (
            "features must have shape (n, 3, 8, 6), or be flat, (n, 144), got shape (5, 8, 6, 3)",
            "channels come first: features.transpose(0, 3, 1, 2)",
        ),
    ),
    "images on their side": Mistake(
        lambda bench: MODEL.predict(np.zeros((5, 3, 6, 8), np.uint8)),
        VALUE,
        ("features must have shape (n, 3, 8, 6)", "got shape (5, 3, 6, 8)"),
    ),
    "images without colours": Mistake(
        lambda bench: MODEL.predict(np.zeros((5, 8, 6), np.uint8)),
        VALUE,
        ("features must have shape (n, 3, 8, 6)", "got shape (5, 8, 6)"),
    ),
    "a single image": Mistake(
        lambda bench: MODEL.predict(np.zeros((3, 8, 6), np.uint8)),
        VALUE,
        ("got shape (3, 8, 6); a single example is features[None]",),
    ),
}


def folder(*names: str, **options: Any) -> Callable[[Bench], object]:
    """To read a folder with some images, of which each is a pixel larger than the one before."""

    def read(bench: Bench) -> object:
        for number, name in enumerate(names, 1):
            path = bench.folder / "pets" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (number, 1)).save(path, format="PNG")
        return pynn.datasets.images(bench.folder / "pets", **{"cache": False, **options})

    return read


ONE = ("cat/1.png", "dog/2.png")

FOLDERS: dict[str, Mistake] = {
    "no folder": Mistake(folder(), NO_DATA, ("{folder}/pets: no such folder", "for each class")),
    "a file in the place of the folder": Mistake(
        lambda bench: pynn.datasets.images(bench.file("pets.zip")),
        NO_DATA,
        ("{folder}/pets.zip: no such folder; give one with a folder for each class",),
    ),
    "an empty folder": Mistake(
        lambda bench: pynn.datasets.images(bench.folder),
        NO_DATA,
        ("{folder}: holds no folders; put the images of each class into a folder of its own",),
    ),
    "images without classes": Mistake(
        folder("1.png", "2.png"),
        NO_DATA,
        ("{folder}/pets: holds images, but no folders; put the images of each class",),
    ),
    "an image beside the classes": Mistake(
        folder(*ONE, "3.png"),
        FORMAT,
        ("{folder}/pets/3.png: lies beside the folders of the classes", "move it"),
    ),
    "the parts of a data set": Mistake(
        folder("train/cat/1.png", "Test/cat/1.png"),
        VALUE,
        (
            "folder holds Test and train, which are parts of a data set, not classes",
            'train = images("{folder}/pets/train")',
            "classes=train.classes",
        ),
    ),
    "a class without images": Mistake(
        folder(*ONE, "owl/notes.txt"),
        NO_DATA,
        ("{folder}/pets/owl: holds no images, but other files such as notes.txt", "classes=..."),
    ),
    "a format that is not read": Mistake(
        folder(*ONE, "cat/photo.HEIC"),
        FORMAT,
        ("{folder}/pets/cat/photo.HEIC: .heic files are not read; convert it to PNG or JPEG",),
    ),
    "images of different sizes": Mistake(
        folder(*ONE),
        VALUE,
        (
            "size must be given, because the images differ: cat/1.png is 1 x 1 and dog/2.png 1 x 2",
            "as in size=32",
        ),
    ),
    "a folder that is no class": Mistake(
        folder(*ONE, classes=("cat", "cow")),
        VALUE,
        ("classes must have all folders of {folder}/pets, and lack 'dog'; add it, or move",),
    ),
    "classes without any image": Mistake(
        folder("cat/x/notes.txt", classes=("cat", "dog")),
        NO_DATA,
        ("{folder}/pets: holds no images of the classes cat, dog",),
    ),
    "a class as a word": Mistake(
        folder(*ONE, classes="cat"),
        TYPE,
        ("classes must be the names of the classes' folders", "got str 'cat'"),
    ),
    "a class twice": Mistake(
        folder(*ONE, classes=["cat", "dog", "cat"]),
        VALUE,
        ("classes must be different names, got list",),
    ),
    "no classes": Mistake(folder(*ONE, classes=()), VALUE, ("classes must be different names",)),
    "a size of 0": Mistake(folder(size=0), VALUE, ("size must be in [1, 10000], got 0",)),
    "a size of floats": Mistake(
        folder(size=(32, 32.0)), TYPE, ("size must be an integer, got float 32.0",)
    ),
    "a shape as size": Mistake(
        folder(size=(3, 32, 32)),
        VALUE,
        ("size must be an integer, or a height and a width, got (3, 32, 32)",),
    ),
    "a size as resize": Mistake(
        folder(resize=32), VALUE, ("resize must be 'stretch', 'crop' or 'pad', got int 32",)
    ),
    "a number of channels": Mistake(folder(grey=1), TYPE, ("grey must be True or False, got int",)),
    "a number as folder of images": Mistake(
        lambda bench: pynn.datasets.images(5),  # type: ignore[arg-type]
        TYPE,
        ("folder must be a str or a Path, got int 5",),
    ),
    "a number as cache": Mistake(
        folder(cache=1), TYPE, ("cache must be a str or a Path, got int 1",)
    ),
    "a cache of None": Mistake(folder(cache=None), TYPE, ("cache must be a str or a Path",)),
}
