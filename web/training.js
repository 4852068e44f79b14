// training.js: runs, their curves, and where they stand.

const SLICE = 24; // milliseconds of training between two looks at the page
const REFRESH = 150; // milliseconds between two looks at the curves
const KINDS_OF_OPTIMIZER = { sgd: 1, adam: 2, adamw: 3 };
const USUAL_RATES = { sgd: 0.2, adam: 0.002, adamw: 0.002 };
let running = false;
let began = false; // whether a run has begun, with the choices of the form
let isChanged = false; // whether the form describes another network than the one that is there
let channel; // wakes the training up again, sooner than a timer would
let shown = 0; // when the curves were last shown

/** Begin a run with the choices of the form, if none has begun. */
function begin() {
  if (began) return;
  const kind = $("optimizer").value;
  const choices = [
    KINDS_OF_OPTIMIZER[kind], numberOf("rate", 0, 1000), kind === "sgd" ? numberOf("momentum", 0, 0.999) : 0,
    numberOf("batch", 1, 4096, true),
  ];
  if (isChanged || source === "page" || (source === "form" && !core.page_usable(0))) restart();
  if (!core.page_usable(0)) throw new Error(whyUnusable());
  const { seed, epochs_trained: epochs, steps_trained: steps } = model;
  check("the training cannot begin", core.page_train_begin(...choices, BigInt.asIntN(64, seed), epochs, steps));
  began = true;
}

function whyUnusable() {
  const way = '"New weights" makes one of the form.';
  if (!isClassifier()) return `The open model ends in ${words(model.loss)}, and this page trains classifiers. ${way}`;
  return (
    `The open model takes ${many(inputs())} inputs and has ${outputs()} classes; the data have` +
    ` ${core.page_columns(0)} columns and ${core.page_classes(0)} classes. ${way}`
  );
}

/** The run is over: the next one begins with the choices of the form. */
function forgetRun() {
  began = false;
  $("progress").value = 0;
  $("train-state").textContent = "";
  $("explained").hidden = true;
  showCurves();
}

const progress = () => doubles(core.page_progress(), 8);
const atEndOfEpoch = () => progress()[2] === progress()[3];

/** Train until the slice is over or an epoch ends; then show, and wait for the next turn. */
async function trainSlice() {
  if (!running) return;
  const start = performance.now();
  const well = await showErrors(() => {
    do {
      check("the training ended", core.page_train_step());
    } while (performance.now() - start < SLICE && !atEndOfEpoch());
    if (atEndOfEpoch()) endEpoch();
    else showProgress();
    channel.port2.postMessage(null);
  });
  if (!well) pause();
}

function endEpoch() {
  const [epochs, steps, , , loss, accuracy] = progress();
  const test = core.page_accuracy(1);
  const line = `After epoch ${epochs}: loss ${four(loss)}, ${percent.format(accuracy)} right in training`;
  model.epochs_trained = epochs;
  model.steps_trained = steps;
  $("progress").value = 1;
  $("train-state").dataset.epochs = epochs;
  $("train-state").dataset.accuracy = test;
  $("train-state").textContent = test >= 0 ? `${line}, ${percent.format(test)} of the test set.` : `${line}.`;
  showCurves();
  refresh();
}

function showProgress() {
  const [epochs, steps, , , loss, accuracy, , share] = progress();
  model.steps_trained = steps;
  $("progress").value = share;
  if (performance.now() - shown < REFRESH) return;
  shown = performance.now();
  $("train-state").textContent =
    `Epoch ${epochs + 1}, step ${many(steps)}: loss ${four(loss)}, ${percent.format(accuracy)} right.`;
  showCurves();
  refresh();
}

function showCurves() {
  const count = progress()[6];
  for (const which of [0, 1]) {
    const places = floats(core.page_curve(which, 400, 200), 2 * count);
    $(`curve-${which}`).setAttribute("points", places.join(" "));
  }
  $("curve-top").textContent = count > 0 ? four(core.page_curve_top()) : "";
  $("curve-hint").hidden = count > 0;
}

function pause() {
  running = false;
  $("train").textContent = "Train";
}

function suggestRate() {
  $("rate").value = USUAL_RATES[$("optimizer").value];
  $("momentum").disabled = $("optimizer").value !== "sgd";
}

function listenToTraining() {
  channel = new MessageChannel();
  channel.port1.onmessage = trainSlice;
  $("choices").addEventListener("submit", (event) => {
    event.preventDefault();
    if (running) return attempt(pause);
    attempt(() => {
      begin();
      running = true;
      $("train").textContent = "Pause";
      trainSlice();
    });
  });
  $("choices").addEventListener("input", (event) => {
    if (event.target.type === "file") return; // openData() sees to it
    pause();
    began = false;
    isChanged ||= event.target.closest("[data-architecture]") !== null;
  });
  $("optimizer").addEventListener("change", suggestRate);
  $("chain").addEventListener("change", () => {
    chooseChain($("chain").value);
    if ($("chain").value === "dense") return;
    $("optimizer").value = "adam";
    suggestRate();
  });
  $("step").addEventListener("click", () => {
    pause();
    attempt(explainStep);
  });
  $("restart").addEventListener("click", () => attempt(restart));
}
