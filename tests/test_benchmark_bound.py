"""The benchmarks' bound: it makes the matrix products that a training step needs."""

import ctypes

import pytest
from peers import gemm

SGEMM = ctypes.CFUNCTYPE(
    None,
    *[ctypes.c_int] * 6,  # order, transpositions, m, n, k
    ctypes.c_float,
    *[ctypes.c_void_p, ctypes.c_int] * 2,
    ctypes.c_float,
    *[ctypes.c_void_p, ctypes.c_int],
)
TRANS = 112


@pytest.fixture(scope="module")
def products():
    """A function that gives the products of an epoch of 7-5-3-2: what the bound asks of BLAS."""
    epoch = gemm.compiled()

    def record(batch, rows, mode):
        asked, wrong = [], []

        @SGEMM
        def sgemm(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
            # Transposed, A may be some columns of longer rows; all else is whole.
            right_a = lda >= m if ta == TRANS else lda == k
            if not (right_a and ldb == (k if tb == TRANS else n) and ldc == n):
                wrong.append((lda, ldb, ldc))
            asked.append((ta == TRANS, tb == TRANS, m, n, k, beta))

        pointer = ctypes.cast(sgemm, ctypes.c_void_p)
        widths = (ctypes.c_int * 4)(7, 5, 3, 2)
        seconds = epoch(pointer, 3, widths, batch, ctypes.c_long(rows), gemm.MODES[mode])
        assert seconds >= 0
        assert not wrong
        return asked[2 * 8 :]  # the first step of each of two copies is to warm up

    return record


def test_bound_makes_the_products_that_a_step_needs(products):
    """Three forward, two back to the values, three for the weights; the last batch is smaller."""
    needed = [
        (False, False, 4, 5, 7, 0),
        (False, False, 4, 3, 5, 0),
        (False, False, 4, 2, 3, 0),
        (False, True, 4, 3, 2, 0),
        (True, False, 3, 2, 4, 1),
        (False, True, 4, 5, 3, 0),
        (True, False, 5, 3, 4, 1),
        (True, False, 7, 5, 4, 1),
    ]
    asked = products(4, 6, "serial")
    assert asked[:8] == needed
    assert len(asked) == 16
    assert [product[2] for product in asked[8:11]] == [2, 2, 2]


@pytest.mark.parametrize(("mode", "times"), [("halves", 1), ("independent", 2)])
@pytest.mark.parametrize("batch", [1, 4, 5])
def test_two_threads_do_the_work_of_one(products, mode, times, batch):
    """Shared out between two threads it is as much work as on one; twice that if each does it."""

    def work(asked):
        return sum(m * n * k for _, _, m, n, k, _ in asked)

    serial = work(products(batch, 2 * batch, "serial"))
    assert work(products(batch, 2 * batch, mode)) == times * serial
