"""Why no test reaches some lines, for scripts/coverage.

By file, by function ("" for code outside of functions), and by a part of the line's text.
"""

NO_DEFAULT = "no other value gets here; without a default the compiler finds one that is forgotten"
TWO_INTS = "with 64 bits a product of two ints fits; with 32 it may not"
INTS = "with 64 bits the bytes of as many columns as an int counts fit; with 32 they may not"
MORE_BEFORE = "the network, which is there, took more bytes than this"

FOR_TYPES = "for type checkers only"
IN_CHILD = "tests/test_processes.py has it, in a forked child, which is not counted"
WITHOUT_SKLEARN = (
    "tests/test_sklearn_checks.py has it, in a process that does not find scikit-learn"
)
IN_PROGRAM = "tests/test_command_line.py or test_streams.py has it, in a process of its own"
BIG_ENDIAN = "the machines that run the tests have the other order of bytes"
SHORTENED = "tests/test_reading.py has it, in a process of its own, as others would be killed"
ELSEWHERE = "tests/test_hostile_sizes.py has it, in a process of its own that gets little memory"

IN_LATE = "tests/test_api.py has it, in a process of its own"
IN_SOURCE = "tests/test_source_folder.py has it, in a process of its own"
FORCED = "tests/test_instruction_set.py has it, in a process of its own"

IN_TRAIN = "tests/test_train_program.py has it, on a terminal of its own"
IN_OUTPUT = "tests/test_predict_output.py has it, in a process of its own"
IN_PREDICT = "tests/test_predict_refusals.py has it, in a process of its own"
EXITS = "for type checkers: argparse ends the program before, with help or with an error"
FOR_NEW_KINDS = "what a new kind begins with: today's kinds have their own"

NOT_BESIDE = "run where pynn is installed, not in a build folder: test_build.py has it there"

REASONS: dict[str, dict[str, dict[str, str]]] = {
    "pynn/_info.py": {
        "_blas_library": {"return None": "the tests' BLAS is one whose file is known"},
    },
    "csrc/base/cut.c": {
        "cut_cheaply": {"busy == best_busy && better": "busy never falls while r doubles"},
    },
    "csrc/idx.c": {
        "pynn_idx_decode": {
            "switch (idx->item_nbytes) {": "a header that was parsed says 1, 2, 4 or 8",
        },
    },
    "csrc/network.c": {
        "place_parameters": {"pynn_multiply(count, view->dims[d], &count)": TWO_INTS},
        "count_nbytes": {
            "return fits && pynn_multiply(": INTS,
            "first->options_nbytes(inputs, &options)": INTS,
        },
    },
    "csrc/pass.c": {
        "do_step": {"switch (step.kind) {": NO_DEFAULT},
    },
    "csrc/layers/columns.c": {
        "read_column": {"switch (column->kind) {": NO_DEFAULT},
    },
    "csrc/layers/pool2d.c": {
        "do_place": {"switch (work) {": NO_DEFAULT},
    },
    "csrc/layers/shifted_kernel.h": {
        "few": {
            "switch (vectors) {": "as many as there are registers for, and at least one",
            "if (most >= ": "for the compiler, which then makes no tile of more vectors than that",
        },
    },
    "csrc/layers/sparse_sums.h": {
        "sum_columns": {
            "switch (vectors) {": "sum_vectors() gives it no more than there are registers for"
        },
    },
    "csrc/base/memory.c": {
        "allocate_with_malloc": {"memory != NULL": "malloc() fails where no memory is left"},
    },
    "csrc/base/team.c": {
        "do_tasks": {
            "ticket >> 32 == piece && is_open(ticket)": (
                "a closed ticket belongs to a new piece, or comes before the first, which has no"
                " end"
            ),
        },
        "notice_fork": {
            "process == -here": (
                "two threads of a child that look in the same instant; test_fork.c has one look"
                " later"
            ),
        },
        "pynn_team_run": {"task_count < CLOSED": "four billion tasks would take a minute"},
    },
    "csrc/workspace.c": {
        "take": {"pynn_multiply(rows, columns, &size)": TWO_INTS},
        "create": {
            "pynn_multiply(network->layer_count, sizeof(pynn_layer_buffers)": MORE_BEFORE,
            "pynn_add(nbytes, sizeof(pynn_workspace)": MORE_BEFORE,
        },
    },
    "pynn/_source_folder.py": {
        name: {"": IN_SOURCE}
        for name in (
            "use_installed",
            "_advice",
            "_find_installed",
            "_holds_source",
            "_differs",
            "_warn_if_different",
        )
    },
    "pynn/__init__.py": {
        "": {
            "except ModuleNotFoundError as error:": IN_SOURCE,
            'if error.name != "pynn._pynn":': IN_SOURCE,
            "raise": IN_SOURCE,
            "_compiled = False": IN_SOURCE,
            "from pynn import _source_folder": IN_SOURCE,
            "_source_folder.use_installed()": IN_SOURCE,
            "from pynn import datasets as datasets": FOR_TYPES,
            "from pynn import formats as formats": FOR_TYPES,
            "from pynn import images as images": FOR_TYPES,
            "from pynn import models as models": FOR_TYPES,
            "from pynn import plots as plots": FOR_TYPES,
            "from pynn import schedules as schedules": FOR_TYPES,
            "from pynn._builder import Builder": FOR_TYPES,
            "from pynn._info import BuildInfo": FOR_TYPES,
            "from pynn._model import Model": FOR_TYPES,
            "from pynn._network.columns import": FOR_TYPES,
            "from pynn._training.augmentation import": FOR_TYPES,
            "from pynn._training.history import": FOR_TYPES,
            "from pynn._training.lbfgs import": FOR_TYPES,
            "from pynn._training.optimizers import": FOR_TYPES,
            "from pynn._training.progress_bar import": FOR_TYPES,
            "from pynn._training.stopping import": FOR_TYPES,
        },
        "__dir__": {"return sorted": IN_LATE},
    },
    "pynn/_explain_image.py": {
        "": {"from pynn._model import Model": FOR_TYPES},
    },
    "pynn/_network/layers/__init__.py": {
        "Layer.formula": {'return ""': FOR_NEW_KINDS},
        "Layer.derivative": {'return ""': FOR_NEW_KINDS},
        "Layer.gradient_written_out": {'return ""': FOR_NEW_KINDS},
    },
    "pynn/_network/losses.py": {
        "Loss.guessing": {"return 0.0": FOR_NEW_KINDS},
        "Loss.probability_written_out": {'return ""': FOR_NEW_KINDS},
        "Loss.loss_written_out": {'return ""': FOR_NEW_KINDS},
        "Loss.gradient_written_out": {'return ""': FOR_NEW_KINDS},
    },
    "pynn/_pictures/digit.py": {
        "read": {
            "raise PictureError(": IN_PREDICT,
            "too many pixels: scale it down": IN_PREDICT,
        },
        "_open": {"a pipe, a socket or a device": IN_PREDICT},
        "_pixels": {"pixels that are negative": IN_PREDICT},
        "_flatten": {"fully transparent": IN_PREDICT},
    },
    "pynn/_network/encoding.py": {
        "": {"from pynn._network.columns import Column": FOR_TYPES},
    },
    "pynn/_plots_regression.py": {
        "": {
            "from matplotlib.axes import Axes": FOR_TYPES,
            "from matplotlib.figure import Figure": FOR_TYPES,
        },
    },
    "pynn/_training/batches.py": {
        "": {"from pynn._training.engine import Engine": FOR_TYPES},
    },
    "pynn/_training/full_batch.py": {
        "": {"from pynn._training.run import Run": FOR_TYPES},
    },
    "pynn/_training/lbfgs.py": {
        "": {"from pynn._network.spec import Spec": FOR_TYPES},
    },
    "pynn/_training/optimizer.py": {
        "": {"from pynn._network.spec import Spec": FOR_TYPES},
        "Optimizer._written_out": {"return []": FOR_NEW_KINDS},
    },
    "pynn/_training/shown.py": {
        "": {
            "from pynn._training.evaluation import ClassEvaluation, Evaluation": FOR_TYPES,
            "from pynn._training.history import History": FOR_TYPES,
        },
    },
    "pynn/__main__.py": {
        "": {"sys.exit(main())": IN_PROGRAM},
        "_explain_use": {"return 0": EXITS},
    },
    "pynn/_commands/export.py": {"_explain_use": {"return 0": EXITS}},
    "pynn/_commands/program.py": {
        "say": {
            'raise Failure("there is no standard output': IN_PROGRAM,
            "except BrokenPipeError:": IN_PROGRAM,
            "give_up(sys.stdout)": IN_PROGRAM,
            "raise": IN_PROGRAM,
            "except OSError as error:": IN_PROGRAM,
        },
        "complain": {"except OSError:": IN_PROGRAM, "give_up(sys.stderr)": IN_PROGRAM},
        "give_up": {"os.dup2(": IN_PROGRAM},
        "run": {"return BROKEN_PIPE": IN_PROGRAM},
        "_occupy_closed_descriptors": {"pass": IN_PROGRAM},
    },
    "pynn/_commands/report.py": {
        "": {"from tqdm import tqdm as Bar": FOR_TYPES},
        "Report.__init__": {
            "except ImportError as error:": IN_TRAIN,
            "why = ": IN_TRAIN,
            "if isinstance(error, ModuleNotFoundError)": IN_TRAIN,
            "complain(": IN_TRAIN,
        },
        "Report.line": {
            "except BrokenPipeError:": IN_PROGRAM,
            "give_up(sys.stdout)": IN_PROGRAM,
            "raise": IN_PROGRAM,
            "except OSError:": IN_PROGRAM,
            "self._quiet = True": IN_PROGRAM,
        },
    },
    "pynn/_commands/predict.py": {
        "": {"from pynn._pictures.digit import Digit, Reading": FOR_TYPES},
        "_reader": {
            "except ModuleNotFoundError as error:": IN_OUTPUT,
            "if error.name != ": IN_OUTPUT,
            "raise": IN_OUTPUT,
        },
        "_can_print_blocks": {"except UnicodeEncodeError:": IN_OUTPUT, "return False": IN_OUTPUT},
    },
    "pynn/_drawing.py": {
        "": {
            "from matplotlib.axes import Axes": FOR_TYPES,
            "from matplotlib.figure import Figure": FOR_TYPES,
        },
    },
    "pynn/_training/history.py": {
        "": {
            "from matplotlib.axes import Axes": FOR_TYPES,
            "from matplotlib.figure import Figure": FOR_TYPES,
            "from pandas import DataFrame": FOR_TYPES,
        },
    },
    "pynn/datasets/_pictures.py": {"": {"from PIL import Image": FOR_TYPES}},
    "pynn/plots.py": {"": {"from matplotlib.figure import Figure": FOR_TYPES}},
    "pynn/formats/__init__.py": {
        "": {
            "from pynn.formats import c as c": FOR_TYPES,
            "from pynn.formats import nn_rust as nn_rust": FOR_TYPES,
            "from pynn.formats import onnx as onnx": FOR_TYPES,
            "from pynn.formats import pytorch as pytorch": FOR_TYPES,
        },
    },
    "pynn/sklearn/__init__.py": {
        "": {
            "except ModuleNotFoundError as error:": WITHOUT_SKLEARN,
            'if error.name != "sklearn":': WITHOUT_SKLEARN,
            "raise": WITHOUT_SKLEARN,
        },
    },
    "pynn/sklearn/_monitor.py": {
        "": {"from pynn.sklearn._base import BaseMLP": FOR_TYPES},
    },
    "pynn/sklearn/_training.py": {"": {"from pynn.sklearn._base import BaseMLP": FOR_TYPES}},
    "pynn/_builder.py": {
        "": {"from pynn._model import Model": FOR_TYPES},
    },
    "pynn/_native/library.py": {
        "check_instruction_set": {"choices = LEVELS": FORCED, "raise ArgumentError(": FORCED},
        "_blas_without_threads": {
            "os.environ[name] = wanted": NOT_BESIDE,
            "os.environ[name] = before": NOT_BESIDE,
            "os.environ.pop(name, None)": NOT_BESIDE,
        },
    },
    "pynn/_base/forks.py": {
        "Guard.forget_threads": {
            "if not is_held(self.lock):": IN_CHILD,
            "self.lock = threading.RLock()": IN_CHILD,
        },
        "_after_in_child": {
            "_after_in_parent()": IN_CHILD,
            "for owner in _living():": IN_CHILD,
            "owner.forget_threads()": IN_CHILD,
        },
    },
    "pynn/_model/saving.py": {
        "": {
            "from pynn._model import Model": FOR_TYPES,
            "from pynn.formats.c import Footprint": FOR_TYPES,
        },
    },
    "pynn/_model/training.py": {
        "": {"from pynn._explain.step import Step": FOR_TYPES},
    },
    "pynn/_training/engine.py": {
        "": {"from pynn._training.run import Run": FOR_TYPES},
        "Engine.forget_threads": {
            "if not forks.is_held(self.lock):": IN_CHILD,
            "self.lock = threading.RLock()": IN_CHILD,
            "if not forks.is_held(self.fit_lock):": IN_CHILD,
            "self.fit_lock = threading.RLock()": IN_CHILD,
        },
    },
    "pynn/_training/faults.py": {
        "": {"from pynn._training.engine import Engine": FOR_TYPES},
    },
    "pynn/_training/fit_arguments.py": {
        "": {"from pynn._training.engine import Engine": FOR_TYPES},
    },
    "pynn/datasets/_idx.py": {
        "read_idx": {
            "except MemoryError:": ELSEWHERE,
            "name = reading.shown(path)": ELSEWHERE,
            "there is no memory for its array": ELSEWHERE,
        },
        "_array": {"if header.dtype.itemsize > 1 and sys.byteorder": BIG_ENDIAN},
    },
    "pynn/_files/safetensors.py": {
        "Reader.__init__": {"nested too deeply": "the limit of JSON's items comes first here"},
        "_read_header": {"it became shorter while it was read": SHORTENED},
        "Reader.read_into": {
            "except FileFormatError as error:": SHORTENED,
            "reading.refuse(self.name, str(error))": SHORTENED,
            'if sys.byteorder == "big":': BIG_ENDIAN,
            "array.byteswap(inplace=True)": BIG_ENDIAN,
        },
    },
}
