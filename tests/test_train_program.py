"""scripts/train.py: what it trains, prints, saves and refuses."""

import errno
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import train

import pynn
from pynn._commands import result
from pynn._commands import train as train_command

SCRIPTS = Path(__file__).parent.parent / "scripts"

SMALL = ["--hidden", "8", "--batch-size", "50", "--epochs", "2"]

pytestmark = pytest.mark.usefixtures("ctrl_c")


@pytest.fixture
def data(tmp_path):
    """A data set in MNIST's layout: ten noisy patterns, 300 and 100 examples."""
    rng = np.random.default_rng(30)
    patterns = rng.integers(0, 256, (10, 28, 28))
    folder = tmp_path / "data"
    folder.mkdir()
    for part, count in (("train", 300), ("t10k", 100)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = np.clip(patterns[labels] + rng.normal(0, 60, (count, 28, 28)), 0, 255)
        pynn.datasets.write_idx(folder / f"{part}-images-idx3-ubyte", images.astype(np.uint8))
        pynn.datasets.write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
    return folder


@pytest.fixture
def call(data, tmp_path):
    """The arguments that every run here needs."""
    return ["--data", str(data), "--output", str(tmp_path / "out")]


@pytest.fixture
def threads():
    """Put the number of threads back after the test."""
    before = pynn.get_num_threads()
    yield
    pynn.set_num_threads(before)


def start(arguments, **options):
    """The program as a process of its own."""
    return subprocess.Popen([sys.executable, SCRIPTS / "train.py", *arguments], **options)


def on_terminal(arguments, *, interrupt_at=None, **environment):
    """What the program writes to a terminal, and its status; at some text comes a Ctrl-C."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = start(
        arguments,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError as error:  # how Linux says that the other side is closed
            assert error.errno == errno.EIO
            break
        if not part:
            break
        written += part
        if interrupt_at is not None and interrupt_at in written:
            process.send_signal(signal.SIGINT)
            interrupt_at = None
    os.close(ours)
    return written.decode(), process.wait()


def test_both_networks_are_saved_and_the_table_says_how_good_they_are(call, data, tmp_path, capsys):
    """The last figures printed are those that the saved networks have on the validation set."""
    assert train.main([*call, *SMALL]) == 0
    table = capsys.readouterr().out.split("\n\n")[1]
    for name in ("relu", "sigmoid"):
        with pynn.load(tmp_path / "out" / f"{name}.safetensors") as model:
            assert f"-> {name} ->" in repr(model)
            loss, accuracy = model.evaluate(*pynn.datasets.load(data)[1])
        row = re.search(rf"^{name} .*$", table, re.MULTILINE).group().split()
        assert row[3:5] == [f"{loss:.4f}", f"{accuracy:.2%}"]


def test_result_names_memory_threads_and_files(call, tmp_path, capsys, threads):
    """Below the table stand the peak memory and where the networks are."""
    assert train.main([*call, *SMALL, "--threads", "1"]) == 0
    *_, resources, saved = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"peak memory \d+ MB, threads 1, BLAS [a-z-]+", resources)
    out = tmp_path / "out"
    assert saved == f"saved {out / 'relu.safetensors'}, {out / 'sigmoid.safetensors'}"


def test_default_recipe_is_the_originals(call, capsys):
    """784-256-64-10, 15 epochs of batches of 128; He and 0.05 or Xavier and 0.2."""
    assert train.main([*call, "--json", "--quiet"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["seed"] == 0
    for network in result["networks"]:
        assert (network["epochs"], network["batch_size"], network["optimizer"]) == (15, 128, "sgd")
        assert (network["schedule"], network["dropout"]) == ("constant", 0)
    recipes = [
        (network["network"], network["sizes"], network["init"], network["learning_rate"])
        for network in result["networks"]
    ]
    sizes = [784, 256, 64, 10]
    assert recipes == [("relu", sizes, "he", 0.05), ("sigmoid", sizes, "xavier", 0.2)]


@pytest.mark.parametrize(
    ("arguments", "chain"),
    [
        (["--hidden", "5,4"], "784 -> dense(5, he) -> relu -> dense(4, he) -> relu -> dense(10"),
        (["--hidden", "none"], "784 -> dense(10, he) ->"),
        (["--hidden", "3", "--init", "xavier"], "dense(3, xavier) -> relu -> dense(10, xavier)"),
    ],
)
def test_options_shape_the_network(call, tmp_path, arguments, chain):
    """What is saved is the network that was asked for, and nothing else is."""
    assert train.main([*call, "--network", "relu", "--epochs", "1", *arguments]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["relu.safetensors"]
    assert chain in repr(pynn.load(tmp_path / "out" / "relu.safetensors"))


@pytest.mark.parametrize(
    ("arguments", "says", "chain"),
    [
        (["--dropout", "0.25"], "dropout 0.25", "relu -> dropout(0.25) ->"),
        (["--label-smoothing", "0.1"], "label smoothing 0.1", "(label_smoothing=0.1)"),
        (["--optimizer", "adam", "--learning-rate", "0.01"], "0.01, adam, batch", "relu"),
        (["--optimizer", "adamw", "--schedule", "cosine"], "adamw, cosine, batch", "relu"),
        (["--momentum", "0.5", "--nesterov"], "momentum 0.5, nesterov, batch", "relu"),
        (["--schedule", "one-cycle", "--warm-up", "0.5"], "one-cycle, warm up 0.5", "relu"),
        (["--schedule", "step"], "step, batch", "relu"),
        (["--weight-decay", "0.1", "--max-gradient-norm", "2"], "decay 0.1, max gradient", "relu"),
        (["--class-weight", "balanced", "--no-shuffle"], "batch size 50", "relu"),
    ],
)
def test_options_shape_the_training(call, tmp_path, capsys, arguments, says, chain):
    """Each is said, is in the network where it belongs, and changes what comes of it."""
    saved = tmp_path / "out" / "relu.safetensors"
    contents = []
    for more in ([], arguments):
        assert train.main([*call, *SMALL, "--network", "relu", *more]) == 0
        contents.append(pynn.load(saved).parameters["dense1.weight"].tobytes())
    assert says in capsys.readouterr().out.rpartition("relu: ")[2].splitlines()[0]
    assert contents[0] != contents[1] or "--class-weight" in arguments
    assert chain in repr(pynn.load(saved))


@pytest.mark.parametrize("name", ["leaky_relu", "gelu", "tanh"])
def test_other_activations(call, tmp_path, name):
    """A network of another activation is saved under its name."""
    assert train.main([*call, *SMALL, "--network", name, "--quiet"]) == 0
    assert f"-> {name}" in repr(pynn.load(tmp_path / "out" / f"{name}.safetensors"))


def test_the_best_recipe(call, tmp_path, capsys):
    """It trains one network of its own name, and options change it."""
    assert train.main([*call, *SMALL, "--recipe", "best", "--json", "--quiet"]) == 0
    (network,) = json.loads(capsys.readouterr().out)["networks"]
    assert (network["network"], network["epochs"], network["batch_size"]) == ("best", 2, 50)
    assert network["optimizer"] != "sgd" and network["schedule"] != "constant"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["best.safetensors"]


def test_held_out_examples_choose_and_test_examples_judge(call, data, tmp_path, capsys):
    """With --validation the best epoch is that of held-out examples; the test figure comes last."""
    arguments = ["--network", "relu", "--validation", "0.2", "--early-stopping", "2"]
    many = ["--hidden", "8", "--epochs", "60", "--learning-rate", "0.5", "--batch-size", "20"]
    assert train.main([*call, *many, *arguments, "--json"]) == 0
    captured = capsys.readouterr()
    assert "240 examples to train on, 60 to validate with" in captured.err
    (network,) = json.loads(captured.out)["networks"]
    assert len(network["val_loss"]) < 60
    with pynn.load(tmp_path / "out" / "relu.safetensors") as model:
        loss, accuracy = model.evaluate(*pynn.datasets.load(data)[1])
    assert (network["test_loss"], network["test_accuracy"]) == (loss, accuracy)
    assert train.main([*call, *SMALL, *arguments, "--discard"]) == 0
    assert "relu: test loss" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        ["--seed", "1"],
        ["--learning-rate", "0.01"],
        ["--batch-size", "60"],
        ["--epochs", "3"],
        ["--init", "xavier"],
    ],
)
def test_same_call_same_bytes_and_each_option_counts(call, tmp_path, change):
    """A run can be repeated to the bit; another seed, rate, batch or length is another."""
    saved = tmp_path / "out" / "relu.safetensors"
    contents = []
    for arguments in ([], [], change):
        assert train.main([*call, *SMALL, "--network", "relu", "--quiet", *arguments]) == 0
        contents.append(pynn.load(saved).parameters["dense1.weight"].tobytes())
    assert contents[0] == contents[1] != contents[2]


def test_plain_progress_is_a_line_an_epoch(call, capsys):
    """Away from a terminal there is no bar, and no line is longer than 80 columns."""
    assert train.main([*call, *SMALL, "--network", "sigmoid", "--epochs", "12"]) == 0
    out, err = capsys.readouterr()
    epochs = re.findall(
        r"^sigmoid +(\d+)/12  loss \d+\.\d{4}  acc +\d+\.\d\d%  val loss \d+\.\d{4}"
        r"  acc +\d+\.\d\d% +\d+\.\d\d s$",
        out,
        re.MULTILINE,
    )
    assert epochs == [str(epoch) for epoch in range(1, 13)]
    assert "\r" not in out
    assert err == ""
    assert all(len(line) <= 80 for line in out.splitlines() if not line.startswith(("/", "saved")))


def test_lbfgs_takes_all_examples(call, tmp_path, capsys):
    """A step an epoch, without a learning rate; the loss falls in each."""
    lbfgs = ["--network", "relu", "--optimizer", "lbfgs", "--hidden", "8", "--epochs", "5"]
    assert train.main([*call, *lbfgs]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "relu: 784-8-10, he, lbfgs"
    losses = [float(re.search(r" loss (\d+\.\d+) ", line)[1]) for line in lines[2:7]]
    assert losses == sorted(losses, reverse=True) and losses[0] > 1.2 * losses[-1]
    assert pynn.load(tmp_path / "out" / "relu.safetensors").steps_trained == 5


def test_few_examples_make_a_smaller_batch(call, capsys):
    """The recipe's size of a batch is no error; one that was asked for is."""
    fit = ["--network", "relu", "--hidden", "8", "--epochs", "1"]
    held_out = ["--validation", "0.9"]
    assert train.main([*call, *fit, *held_out]) == 0
    assert "batch size 30\n" in capsys.readouterr().out
    assert train.main([*call, *fit, *held_out, "--batch-size", "128"]) == 1
    assert "batch_size must be at most the number of examples" in capsys.readouterr().err


def test_quiet_prints_the_result_alone(call, capsys):
    """Nothing comes before the table."""
    assert train.main([*call, *SMALL, "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("network     train loss")
    assert err == ""


def test_json_goes_to_stdout_and_progress_to_stderr(call, capsys):
    """A program can read stdout while a person watches."""
    assert train.main([*call, *SMALL, "--json"]) == 0
    out, err = capsys.readouterr()
    network = json.loads(out)["networks"][0]
    for figure in ("loss", "accuracy", "val_loss", "val_accuracy", "seconds"):
        assert len(network[figure]) == 2
    assert f"relu    2/2  loss {network['loss'][1]:.4f}" in err


def test_terminal_gets_a_bar_and_the_lines_stay(call):
    """A bar with loss and accuracy runs within an epoch; each epoch leaves its line."""
    out, status = on_terminal([*call, *SMALL, "--network", "relu"])
    assert status == 0
    assert re.search(r"\rrelu    1/2  loss \d\.\d{4}  acc +\d+\.\d\d% +100 % \|█+\|", out)
    assert len(re.findall(r"\rrelu    [12]/2  loss .* val loss .* s\r\n", out)) == 2


def test_terminal_without_tqdm_gets_plain_lines(call, tmp_path):
    """One line says what is missing; the rest is as elsewhere."""
    absent = tmp_path / "absent"
    absent.mkdir()
    (absent / "tqdm.py").write_text("raise ModuleNotFoundError('no tqdm', name='tqdm')\n")
    out, status = on_terminal([*call, *SMALL, "--network", "relu"], PYTHONPATH=str(absent))
    assert status == 0
    assert out.count("pip install tqdm") == 1
    assert "█" not in out
    assert out.count(" val loss ") == 2 + 1  # two epochs, one table


def test_terminal_with_a_broken_tqdm_gets_plain_lines(call, tmp_path):
    """One line says what is wrong with it, which is not that it is missing."""
    (tmp_path / "tqdm.py").write_text("raise ImportError('broken \\x1b[2J')\n")
    out, status = on_terminal([*call, *SMALL, "--network", "relu"], PYTHONPATH=str(tmp_path))
    assert status == 0
    assert r"no progress bar: tqdm cannot be imported: broken \x1b[2J" in out
    assert "pip install" not in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--epochs", "0"], "argument --epochs: must be at least 1, got 0"),
        (["--epochs", "many"], "argument --epochs: must be an integer, got 'many'"),
        (["--batch-size", "-1"], "argument --batch-size: must be at least 1, got -1"),
        (["--learning-rate", "0"], "argument --learning-rate: must be a number greater than 0"),
        (["--learning-rate", "nan"], "argument --learning-rate: must be a number greater than 0"),
        (["--learning-rate", "inf"], "argument --learning-rate: must be a number greater than 0"),
        (["--seed", str(2**64)], "argument --seed: must be at most 18446744073709551615"),
        (["--threads", "0"], "argument --threads: must be at least 1, got 0"),
        (["--threads", "1000000"], "argument --threads: threads must be"),
        (["--hidden", "256,"], "argument --hidden: must be widths like 256,64, or none"),
        (["--hidden", ""], "argument --hidden: must be widths like 256,64, or none"),
        (["--init", "zero"], "argument --init: must be he or xavier, got 'zero'"),
        (
            ["--network", "conv"],
            "argument --network: must be relu, leaky_relu, gelu, sigmoid, tanh or both, got",
        ),
        (
            ["--network", "relu", "--recipe", "best"],
            "argument --network: only --recipe plain has it",
        ),
        (["--early-stopping", "3"], "argument --early-stopping: needs --validation"),
        (
            ["--momentum", "0.9", "--optimizer", "adam"],
            "argument --momentum: sgd has it, adam has not",
        ),
        (["--nesterov"], "argument --nesterov: needs a --momentum"),
        (["--dropout", "1"], "argument --dropout: must be a number at least 0 and less than 1"),
        (["--validation", "0"], "argument --validation: must be a number greater than 0 and less"),
        (["--learning-rate", "1e39"], "argument --learning-rate: must be a number greater than 0"),
        (["--resume", "--discard"], "argument --discard: not allowed with argument --resume"),
        (
            ["--optimizer", "lbfgs", "--learning-rate", "1"],
            "argument --learning-rate: lbfgs has none",
        ),
        (["--optimizer", "lbfgs", "--batch-size", "9"], "argument --batch-size: lbfgs has none"),
        (
            ["--optimizer", "lbfgs", "--dropout", "0.1"],
            "argument --optimizer: lbfgs needs the same",
        ),
        (["--optimizer", "lbfgs", "--shift", "1"], "argument --optimizer: lbfgs needs the same"),
        (["--epoch", "1"], "there is no --epoch; did you mean --epochs? (train.py --help)"),
        (["file"], "too many arguments: file ("),
        (["--learning-rate", "fast"], "argument --learning-rate: must be a number greater than 0"),
    ],
)
def test_wrong_call_exits_with_2(arguments, says, capsys):
    """The last line names the argument and what it takes."""
    with pytest.raises(SystemExit) as exit:
        train.main(arguments)
    assert exit.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"train.py: error: {says}")


def no_data(data, out):
    return ["--data", str(data / "elsewhere")], "no such directory"


def a_damaged_file(data, out):
    path = data / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    return [], "train-images-idx3-ubyte"


def no_examples(data, out):
    pynn.datasets.write_idx(data / "t10k-images-idx3-ubyte", np.empty((0, 28, 28), np.uint8))
    pynn.datasets.write_idx(data / "t10k-labels-idx1-ubyte", np.empty(0, np.uint8))
    return [], "t10k files hold no examples"


def output_is_a_file(data, out):
    out.write_text("")
    return [], "out: File exists"


def a_large_batch(data, out):
    return ["--batch-size", "301"], "batch_size must be at most the number of examples, 300"


def a_high_learning_rate(data, out):
    return ["--learning-rate", "1e30"], "try a smaller --learning-rate"


@pytest.mark.parametrize(
    "arrange",
    [
        no_data,
        a_damaged_file,
        no_examples,
        output_is_a_file,
        a_large_batch,
        a_high_learning_rate,
    ],
)
def test_failed_run_is_one_line_and_1(call, data, tmp_path, arrange, capsys):
    """The line says what is wrong; nothing is saved."""
    arguments, says = arrange(data, tmp_path / "out")
    assert train.main([*call, *SMALL, *arguments]) == 1
    err = capsys.readouterr().err
    assert err.startswith("train.py: error: ")
    assert says in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("out/*.safetensors"))


def test_divergence_keeps_how_far_the_run_came(call, tmp_path, capsys):
    """The line names the checkpoint, which is a model; a smaller rate then starts anew."""
    run = [*call, *SMALL, "--network", "relu", "--quiet"]
    assert train.main([*run, "--learning-rate", "1e30"]) == 1
    checkpoint = tmp_path / "out" / "relu.checkpoint"
    err = capsys.readouterr().err
    assert f"How far it came is kept in {checkpoint}, for pynn.load" in err
    with pynn.load(checkpoint) as model:
        assert all(np.isfinite(array).all() for array in model.parameters.values())
    assert train.main([*run, "--learning-rate", "0.01", "--resume"]) == 1
    assert "optimizer must be SGD(learning_rate=1e+30)" in capsys.readouterr().err
    assert train.main([*run, "--learning-rate", "1e30", "--seed", "9", "--resume"]) == 1
    assert "belongs to another run: Model(" in capsys.readouterr().err
    assert checkpoint.exists()
    assert train.main([*run, "--learning-rate", "0.01", "--discard"]) == 0
    assert not checkpoint.exists()


def test_a_run_that_never_began_cannot_be_resumed(call, capsys):
    """The line names the file that is missing."""
    assert train.main([*call, *SMALL, "--resume"]) == 1
    assert "nothing to resume: there is no " in capsys.readouterr().err


def test_ctrl_c_before_the_first_checkpoint_keeps_nothing(call, tmp_path, monkeypatch):
    """There is no file to name, and nothing to go on with."""

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_command, "_train", interrupted)
    options = train_command.parse([*call, *SMALL, "--quiet"], "train.py", str(tmp_path), "")
    with pytest.raises(KeyboardInterrupt) as caught:
        train_command.train(options, "train.py", "")
    assert not str(caught.value)


def test_data_in_the_usual_folder_need_no_option(data):
    """A program that has a folder of its own takes the data in it."""
    training, _, name = train_command._data(None, "", str(data))
    assert (len(training.images), name) == (300, str(data))


@pytest.mark.filterwarnings("always::pynn.TrainingWarning")
def test_doubts_are_lines_of_the_program(call, data, tmp_path, capsys):
    """A warning is shown as an error would be, once for each network, and a large loss is short."""
    pynn.datasets.write_idx(data / "train-labels-idx1-ubyte", np.full(300, 3, np.uint8))
    run = [*call, *SMALL, "--learning-rate", "1e12", "--optimizer", "sgd"]
    assert train.main(run) == 0
    out, err = capsys.readouterr()
    doubt = "train.py: all 300 labels to train on are 3: the model can only learn to predict that"
    assert [line.startswith(doubt) for line in err.splitlines()] == [True, False] * 2
    assert re.search(r"val loss \d\.\d\de\+\d\d  acc", out)


def test_ctrl_c_ends_with_one_line_and_130(call, tmp_path):
    """What was saved before stays as it is; there is no traceback."""
    assert train.main([*call, *SMALL, "--network", "relu", "--quiet"]) == 0
    saved = tmp_path / "out" / "relu.safetensors"
    before = saved.read_bytes()
    process = start(
        [*call, "--epochs", "1000000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while " 1/1000000 " not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    kept = saved.with_suffix(".checkpoint")
    how = f"kept in {kept}; the same command with --resume goes on"
    assert err == f"train.py: interrupted; {how}\n"
    assert saved.read_bytes() == before


def test_ctrl_c_clears_the_bar(call):
    """The message starts a line of its own."""
    out, status = on_terminal([*call, "--epochs", "1000000"], interrupt_at=b" left")
    assert status == 130
    assert re.search(r"[\r\n]train\.py: interrupted; kept in .* goes on\r\n$", out)


def test_reader_that_leaves_ends_the_run_silently(call):
    """As in `train.py | head -1`: no traceback, and the status of a program that SIGPIPE ended."""
    process = start([*call, "--epochs", "1000000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


def test_without_the_repositorys_data_the_library_looks(data, tmp_path, monkeypatch, capsys):
    """Where data/mnist is not there, pynn.datasets.mnist finds or fetches MNIST."""
    monkeypatch.setattr(train, "DATA", tmp_path / "nowhere")
    monkeypatch.setattr(pynn.datasets, "mnist", lambda: pynn.datasets.load(data))
    assert train.main([*SMALL, "--network", "relu", "--output", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.startswith("MNIST: 300 examples to train on, 100 to validate")


@pytest.mark.parametrize(("platform", "nbytes"), [("linux", 5120), ("darwin", 5)])
def test_peak_memory_is_in_bytes(monkeypatch, platform, nbytes):
    """Linux counts in KiB, macOS in bytes."""
    usage = SimpleNamespace(ru_maxrss=5)
    monkeypatch.setattr(result.resource, "getrusage", lambda who: usage)
    monkeypatch.setattr(result.sys, "platform", platform)
    assert result._peak_memory_nbytes() == nbytes


def test_help_fits_a_terminal(capsys, monkeypatch):
    """80 columns, with examples and every default."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as exit:
        train.main(["--help"])
    out = capsys.readouterr().out
    assert exit.value.code == 0
    assert "examples:" in out
    assert all(len(line) <= 80 for line in out.splitlines())
    assert out.count("default") >= 9
