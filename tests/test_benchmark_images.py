"""The benchmarks of networks for images: what a layer computes, tables and verdicts. Not timed."""

import images
import images_layers
import pytest
from figures import between
from images_layers import Work
from measured import case_of, cells_of

CONVOLUTION = Work("net", 5, "conv2d", (8, 14, 14), (16, 14, 14), 3, True, "forward", 1e-4)
POOL = Work("net", 4, "max_pool2d", (8, 28, 28), (8, 14, 14), 2, False, "forward", 1e-5)

PRINTED = """\
level x86-64-v4
peak 100.00
stream 32768 50.00
step net 0.004
work net 1 12 1 28 28 8 28 28 3 1 gather 0.00001
work net 1 12 1 28 28 8 28 28 3 1 sum 0.0001
work net 1 12 1 28 28 8 28 28 3 1 sum-without-dx 0.0001
work net 2 12 8 7 7 16 7 7 3 1 forward 0.0001
work net 2 12 8 7 7 16 7 7 3 1 sum 0.0003
work net 2 12 8 7 7 16 7 7 3 1 sum-without-dx 0.0001
work net 2 12 8 7 7 16 7 7 3 1 x-planes 0.00002
work net 2 12 8 7 7 16 7 7 3 1 dy-planes 0.0001
work net 3 1 16 7 7 10 1 1 0 0 forward 0.0000001
"""


def epoch_case(**losses):
    """pynn at 0.3 of the better torch, half of jax."""
    case = case_of(
        pynn__2=[3.0, 3.0], pynn__1=[5.0, 5.0], torch__1=[10.0, 10.0], torch__2=[12.0] * 2,
        jax__2=[6.0, 6.0],
    )  # fmt: skip
    for name in case["contenders"]:
        case["contenders"][name] = {"first_loss": losses.get(name.split("@")[0], 0.5)}
    return {**case, "network": "lenet", "batch": 128}


def test_products_of_a_convolution():
    """Two for each row, output value, and tap of a channel: 32 (16 14 14) (8 3 3) 2."""
    assert images_layers.flop(CONVOLUTION) == 14_450_688
    for what in ("dW", "dX"):
        assert images_layers.flop(CONVOLUTION._replace(what=what)) == 14_450_688
    assert images_layers.flop(CONVOLUTION._replace(what="accumulate")) == 0
    assert images_layers.flop(POOL) == 0


def test_bytes_of_a_layer_without_products():
    """Floats that are read and written; those of a gathered batch come from bytes."""
    assert images_layers.nbytes(POOL) == 4 * 32 * (8 * 28 * 28 + 8 * 14 * 14)
    backward = POOL._replace(what="backward")
    assert images_layers.nbytes(backward) == 2 * images_layers.nbytes(POOL)
    assert images_layers.nbytes(CONVOLUTION._replace(what="gather")) == 5 * 32 * 8 * 14 * 14
    assert images_layers.nbytes(CONVOLUTION) == 0


@pytest.mark.parametrize(
    ("what", "turned", "share"),
    [("forward", True, 64 / 64), ("dW", True, 64 / 64), ("dX", True, 36 / 48), ("dX", False, 1.0)],
)
def test_share_that_is_not_padding(what, turned, share):
    """36 values are computed as 48; dX has the size of the inputs where it is a convolution."""
    work = CONVOLUTION._replace(inputs=(8, 6, 6), outputs=(16, 8, 8), what=what, turned=turned)
    assert images_layers.useful(work) == share


@pytest.mark.parametrize(("filters", "turned", "share"), [(8, True, 1.0), (7, True, 49 / 64)])
def test_the_last_of_49_values_is_computed_with_those_of_other_images(filters, turned, share):
    """Where there are at least 8 filters, it fills up a vector together with them."""
    work = CONVOLUTION._replace(outputs=(filters, 7, 7), what="forward", turned=turned)
    assert images_layers.useful(work) == share


def test_gradients_are_told_apart():
    """dX is what both gradients take more than dW alone; the first layer has none."""
    found = images_layers.parse(PRINTED)
    assert (found.level, found.peak, found.streams) == ("x86-64-v4", 100.0, {32768: 50.0})
    assert found.steps == {"net": 0.001}
    split = {(w.layer, w.what): (w.seconds, p) for w, p in images_layers.split(found.works)}
    assert split[1, "dW"] == (0.0001, 0.0)
    assert (1, "dX") not in split
    assert split[2, "forward"] == (0.0001, 0.00002)
    assert split[2, "dX"] == (pytest.approx(0.0002), 0.0001)


def test_table_of_layers():
    """Speed, its share of the peak, and what padding and planes cost; what is small is summed."""
    found = images_layers.parse(PRINTED)
    rows = cells_of(images_layers.network_table(found.works, found.peak))
    assert [row[:2] for row in rows] == [
        ["the batch", "gather"],
        ["1 conv2d 8 x 3 x 3, of 1 x 28 x 28", "dW"],
        ["2 conv2d 16 x 3 x 3, of 8 x 7 x 7", "forward"],
        ["2 conv2d 16 x 3 x 3, of 8 x 7 x 7", "dW"],
        ["2 conv2d 16 x 3 x 3, of 8 x 7 x 7", "dX"],
        ["", "the rest"],
        ["", "all products"],
    ]
    assert rows[2][2:] == ["100", "20%", "36", "36%", "", "100%", "20%"]
    assert "pynn_gradient() takes 1000 us" in images_layers.text(found)


def test_unknown_line_is_refused():
    """What the program does not print is not taken for a figure."""
    with pytest.raises(ValueError, match="idle"):
        images_layers.parse("idle 3\n")


def test_limits_of_an_epoch():
    """Against the better setting of each peer; 0.45 at the batches beside 128."""
    case = epoch_case()
    lines = images.judge_epochs(case)
    assert [(x.against, x.measured.median, x.at_most, x.holds) for x in lines] == [
        ("torch@1", pytest.approx(0.3), 0.33, True),
        ("jax@2", 0.5, 0.50, True),
    ]
    assert [x.at_most for x in images.judge_epochs({**case, "batch": 32})] == [0.45, 0.45]
    del case["contenders"]["jax@2"]
    assert [x.against for x in images.judge_epochs(case)] == ["torch@1"]


@pytest.mark.parametrize(("loss", "good"), [(0.51, True), (0.7, False), (float("nan"), False)])
def test_all_learn_alike(loss, good, capsys):
    """A contender whose first loss is far off pynn's has not done the same work, and is named."""
    assert images.alike(epoch_case(torch=loss)) is good
    assert ("torch@1" in capsys.readouterr().err) is not good


def test_table_of_epochs():
    """pynn at both numbers of threads, and the best of each peer."""
    rows = cells_of(images.epochs_table([epoch_case(jax=0.4)]))
    assert [row[2] for row in rows] == ["pynn, 2", "pynn, 1", "PyTorch, 1", "JAX, 2"]
    assert rows[0][3] == "3.00 (3.00 - 3.00)"
    assert rows[3][5] == "0.400"


def test_page_has_the_marks_of_every_part():
    """images.py finds a place for all that it makes."""
    page = images.PAGE.read_text("utf-8")
    for part in images.PARTS:
        assert "\nnew\n" in between(page, f"images {part}", "new"), part


def test_networks_have_the_layers_of_the_models():
    """The C program lists the layers that pynn.models gives, with as many filters and units."""
    import re

    import pynn

    source = (images_layers.ROOT / "benchmarks/images_layers.c").read_text("utf-8")
    for name in images.NETWORKS:
        body = re.search(rf"{name.upper()}\[\] = \{{(.*?)\n\}};", source, re.DOTALL)
        assert body is not None
        listed = re.findall(
            r"(FILTERS|DENSE)\((\d+)|(NORM|RELU|POOL)\b", body[1].replace("_POOL", "")
        )
        model = getattr(pynn.models, name)().softmax_cross_entropy().build(seed=0)
        words = {"conv2d": "FILTERS", "dense": "DENSE", "batch_norm": "NORM"}
        words |= {"relu": "RELU", "max_pool2d": "POOL"}
        rows = re.findall(r"^\d+ +(\w+)(?:\((\d+),)?", model.summary(), re.MULTILINE)
        wanted = [(words[kind], count) for kind, count in rows if kind in words]
        assert [(a or c, b) for a, b, c in listed] == wanted
