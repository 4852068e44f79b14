// page.js: shows what the C code computes, and passes on what the user does. It computes nothing itself: what
// is not in page.c is text, colours and files. tests/test_page.py holds it to that.
"use strict";

const $ = (id) => document.getElementById(id);
const decoder = new TextDecoder();
let core; // the functions of page.c
let marks = {}; // the equations in the C sources, and where they are

// ---------------------------------------------------------------- the memory of the C code

const bytes = (address, count) => new Uint8Array(core.memory.buffer, address, count);
const floats = (address, count) => new Float32Array(core.memory.buffer, address, count);
const doubles = (address, count) => new Float64Array(core.memory.buffer, address, count);

/** The text at an address, which ends in a byte of 0. */
function text(address) {
  const all = new Uint8Array(core.memory.buffer, address);
  return decoder.decode(all.subarray(0, all.indexOf(0)));
}

/** Call use(address) with a copy of an array of bytes in the memory of the C code. */
function lend(array, use) {
  const address = core.page_allocate(array.length);
  if (address === 0) throw new Error("out of memory");
  bytes(address, array.length).set(array);
  try {
    return use(address);
  } finally {
    core.page_release(address);
  }
}

/** Throw an error for a status that is not 0, with the C code's own words. */
function check(what, status) {
  if (status !== 0) throw new Error(`${what}: ${text(core.page_message(status))}`);
}

/** Show a picture of the C code: four bytes for each pixel. */
function show(canvas, address, width, height) {
  if (address === 0) return;
  canvas.width = width;
  canvas.height = height;
  const pixels = new ImageData(width, height);
  pixels.data.set(new Uint8Array(core.memory.buffer, address, pixels.data.length));
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

/** Run a function; show its error, or that there is none any more. */
async function attempt(work) {
  try {
    $("error").textContent = "";
    await work();
  } catch (error) {
    $("error").textContent = error.message;
    $("error").scrollIntoView({ block: "nearest" });
  }
}

// ---------------------------------------------------------------- the network

const KINDS = {
  dense: 1, relu: 2, sigmoid: 3, tanh: 4, leaky_relu: 5, gelu: 6, dropout: 7, silu: 8, elu: 9, softplus: 10,
  layer_norm: 11,
};
const NAMES = Object.fromEntries(Object.entries(KINDS).map(([name, kind]) => [kind, name]));
const INITS = { he: 1, xavier: 2 };
const OPTIONS = { leaky_relu: "slope", elu: "alpha", dropout: "rate", layer_norm: "eps" };
let model; // as in the metadata of a model file

/** Make the network of a model, with parameters of 0. */
function create(description) {
  core.page_begin(description.input);
  for (const layer of description.layers) {
    const kind = KINDS[layer.kind];
    if (kind === undefined) throw new Error(`this page does not know the layer ${layer.kind}`);
    core.page_add(kind, layer.outputs ?? 0, INITS[layer.init] ?? 0, layer[OPTIONS[layer.kind]] ?? 0);
  }
  check("the network", core.page_create());
  model = description;
  chosen = null;
  $("unit").hidden = true;
  buildLayers();
  describe();
}

/** The network that the form describes. */
function chosenModel() {
  const hidden = $("hidden").value.split(/\s+/).filter(Boolean).map(Number);
  const kind = NAMES[$("activation").value];
  const init = ["sigmoid", "tanh"].includes(kind) ? "xavier" : "he";
  const option = { leaky_relu: { slope: 0.01 }, elu: { alpha: 1 } }[kind];
  const layers = hidden.flatMap((outputs) => [{ kind: "dense", outputs, init }, { kind, ...option }]);
  layers.push({ kind: "dense", outputs: 10, init });
  const input = core.page_columns(0) || 784;
  return {
    input, layers, loss: "softmax_cross_entropy", seed: 0, epochs_trained: 0, steps_trained: 0,
  };
}

/** Make the network of the form, with new weights. */
function restart() {
  pause();
  create(chosenModel());
  check("the weights", core.page_initialize(model.seed));
  began = false;
  refresh();
}

function describe() {
  const chain = model.layers.map((l) => (l.kind === "dense" ? `dense ${l.outputs}` : l.kind.replace("_", " ")));
  const count = core.page_parameter_count().toLocaleString("en");
  $("model-state").textContent = `${model.input} inputs → ${chain.join(" → ")}; ${count} parameters`;
}

// ---------------------------------------------------------------- drawing

const paper = $("paper");
let last = null; // where the pen was
let side = 1; // of the paper, as it is shown

/** Draw a line to a place, read the digit, and show what the network makes of it. */
function drawTo(x, y) {
  const from = last ?? { x, y };
  core.page_ink_stroke(side, from.x, from.y, x, y);
  last = { x, y };
  read();
}

function read() {
  const began = performance.now();
  core.page_digit_from(0, 0, 0);
  $("hint").hidden = true;
  refreshDigit();
  const time = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
  performance.measure("answer", { start: began });
  const measured = performance.getEntriesByName("answer").at(-1).duration;
  performance.clearMeasures("answer");
  $("time").textContent = `Cut out, centred, read and shown in ${time.format(measured)} ms.`;
  $("time").dataset.milliseconds = measured;
}

function clearPaper() {
  core.page_ink_clear();
  last = null;
  $("hint").hidden = false;
  $("time").textContent = "";
  refreshDigit();
}

function listenToPen() {
  paper.addEventListener("pointerdown", (event) => {
    paper.setPointerCapture(event.pointerId);
    side = paper.clientWidth;
    last = null;
    drawTo(event.offsetX, event.offsetY);
  });
  paper.addEventListener("pointermove", (event) => {
    if (!paper.hasPointerCapture(event.pointerId)) return;
    drawTo(event.offsetX, event.offsetY);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    paper.addEventListener(end, () => (last = null));
  }
  $("clear").addEventListener("click", clearPaper);
  listenToKeys();
}

/** By keyboard: a pen that the arrow keys move, over a paper of 32 steps each way. */
function listenToKeys() {
  const STEPS = 32;
  const pen = { x: STEPS >> 1, y: STEPS >> 1, down: false };
  const place = (name, share) => $("pen").style.setProperty(name, `calc(100% * ${share} / ${STEPS})`);
  const moves = {
    ArrowLeft: () => pen.x--, ArrowRight: () => pen.x++, ArrowUp: () => pen.y--, ArrowDown: () => pen.y++,
    " ": () => (pen.down = !pen.down), Delete: clearPaper, Backspace: clearPaper,
  };
  paper.addEventListener("keydown", (event) => {
    if (!moves[event.key]) return;
    event.preventDefault();
    const before = { x: pen.x, y: pen.y };
    moves[event.key]();
    if (pen.x < 0 || pen.y < 0 || pen.x > STEPS || pen.y > STEPS) Object.assign(pen, before);
    side = STEPS;
    last = before;
    if (pen.down) drawTo(pen.x, pen.y);
    $("pen").hidden = false;
    $("pen").classList.toggle("down", pen.down);
    place("left", pen.x);
    place("top", pen.y);
  });
  paper.addEventListener("blur", () => ($("pen").hidden = true));
}

// ---------------------------------------------------------------- what the network makes of a digit

const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
const number = new Intl.NumberFormat("en", { minimumFractionDigits: 3, maximumFractionDigits: 3 });
let bars = []; // for each class the meter and the text of its probability
let layers = []; // for each layer the buttons of its units
let chosen = null; // the unit that is shown: its layer and its number

/** Show everything that depends on the parameters. */
function refresh() {
  refreshDigit();
  show($("tiles"), core.page_paint_tiles(), core.page_tiles_side(), core.page_tiles_side());
}

/** Show everything that depends on the drawing. */
function refreshDigit() {
  show(paper, core.page_paint_grey(1), 224, 224);
  show($("digit"), core.page_paint_grey(0), 28, 28);
  if (core.page_inputs() !== 784) return;
  const status = core.page_look();
  const drawn = $("hint").hidden;
  const probabilities = floats(core.page_probabilities(), bars.length);
  const best = core.page_answer();
  $("answer").textContent = drawn && status === 0 ? best : "–";
  bars.forEach(({ row, meter, share }, label) => {
    meter.value = drawn ? probabilities[label] : 0;
    share.textContent = drawn ? percent.format(probabilities[label]) : "";
    row.classList.toggle("best", drawn && label === best);
  });
  layers.forEach((units, layer) => colour(units, core.page_paint_outputs(layer)));
  if (chosen) showUnit();
}

/** Give each unit of a layer its colour. */
function colour(units, address) {
  const painted = new Uint32Array(core.memory.buffer, address, units.length);
  units.forEach((unit, index) => {
    if (unit.painted === painted[index]) return;
    unit.painted = painted[index];
    const [red, green, blue] = new Uint8Array(painted.subarray(index).buffer, painted.subarray(index).byteOffset, 3);
    unit.style.backgroundColor = `rgb(${red} ${green} ${blue})`;
  });
}

function buildBars() {
  for (let label = 0; label < 10; label++) {
    const row = document.createElement("li");
    const name = document.createElement("span");
    const meter = document.createElement("meter");
    const share = document.createElement("span");
    name.textContent = label;
    meter.setAttribute("aria-label", `probability of ${label}`);
    row.append(name, meter, share);
    $("probabilities").append(row);
    bars.push({ row, meter, share });
  }
}

function buildLayers() {
  $("layers").replaceChildren();
  layers = model.layers.map((description, layer) => {
    const box = document.createElement("div");
    const title = document.createElement("h3");
    const units = document.createElement("div");
    const buttons = [];
    box.className = "layer";
    units.className = "units";
    units.role = "group";
    title.textContent = `${description.kind.replace("_", " ")}, ${core.page_width(layer)} units`;
    units.setAttribute("aria-label", `layer ${layer}: ${title.textContent}`);
    for (let unit = 0; unit < core.page_width(layer); unit++) {
      const button = document.createElement("button");
      button.tabIndex = unit === 0 ? 0 : -1;
      button.setAttribute("aria-label", `unit ${unit}`);
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => choose(layer, unit));
      buttons.push(button);
    }
    units.append(...buttons);
    units.addEventListener("keydown", moveAmongUnits);
    box.append(title, units);
    $("layers").append(box);
    return buttons;
  });
}

/** Arrow keys move between the units of a layer. */
function moveAmongUnits(event) {
  const here = document.activeElement;
  const next = { ArrowRight: here.nextElementSibling, ArrowLeft: here.previousElementSibling }[event.key];
  if (!next) return;
  event.preventDefault();
  here.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

// ---------------------------------------------------------------- one unit

function choose(layer, unit) {
  if (chosen) layers[chosen.layer][chosen.unit].setAttribute("aria-pressed", "false");
  chosen = { layer, unit };
  layers[layer][unit].setAttribute("aria-pressed", "true");
  $("unit").hidden = false;
  showUnit();
}

/** Show the chosen unit: its weights, its sum written out, its equation and the line of C. */
function showUnit() {
  const { layer, unit } = chosen;
  const { kind } = model.layers[layer];
  $("unit-title").textContent = `Layer ${layer}, ${kind.replace("_", " ")}, unit ${unit}`;
  $("unit-weights").hidden = kind !== "dense";
  if (kind === "dense") {
    const before = layer > 0 ? core.page_width(layer - 1) : core.page_inputs();
    const isPicture = before === 784;
    show($("unit-weights"), core.page_paint_unit(layer, unit), isPicture ? 28 : before, isPicture ? 28 : 1);
    $("unit-weights").style.height = isPicture ? "112px" : "24px";
    $("unit-sum").textContent = writeSum(unit);
  } else {
    const y = floats(core.page_outputs(layer), core.page_width(layer))[unit];
    const x = layer > 0 ? floats(core.page_outputs(layer - 1), core.page_width(layer))[unit] : NaN;
    const written = layer > 0 && core.page_width(layer - 1) === core.page_width(layer);
    $("unit-sum").textContent = `y${unit} = ${kind}(${written ? number.format(x) : "x"}) = ${number.format(y)}`;
  }
  showMark(kind);
}

/** The sum of a unit of a dense layer: its largest terms, the rest, and the bias. */
function writeSum(unit) {
  const numbers = floats(core.page_unit_sum(chosen.layer, unit), 35);
  const [rest, bias, result] = numbers;
  const terms = [];
  for (let k = 3; k < numbers.length; k += 4) {
    const [i, x, w] = numbers.subarray(k);
    if (i >= 0) terms.push(`x${i} w${i} (${number.format(x)} × ${number.format(w)})`);
  }
  const sum = [...terms, `others (${number.format(rest)})`, `b (${number.format(bias)})`].join(" + ");
  return `y${unit} = ${sum} = ${number.format(result)}`;
}

function showMark(kind) {
  const mark = marks[`${kind}.Y`];
  $("unit-mark").replaceChildren();
  if (!mark) return;
  const code = document.createElement("code");
  code.textContent = mark.code;
  $("unit-mark").append(`${mark.equation}, computed in ${mark.file}, line ${mark.line}: `, code);
}

// ---------------------------------------------------------------- training

const SLICE = 24; // milliseconds of training between two looks at the page
let running = false;
let began = false; // whether a run has begun, with the choices of the form
let channel; // wakes the training up again, sooner than a timer would

/** Begin a run with the choices of the form, if none has begun. */
function begin() {
  if (began) return;
  const wanted = chosenModel();
  const same = JSON.stringify(wanted.layers) === JSON.stringify(model.layers) && wanted.input === model.input;
  if (!same) restart();
  check(
    "the training",
    core.page_train_begin(
      $("optimizer").value, $("rate").value, $("momentum").value, $("batch").value, model.seed,
    ),
  );
  began = true;
}

/** Train until the slice is over or an epoch ends; then show, and wait for the next turn. */
function trainSlice() {
  if (!running) return;
  attempt(() => {
    const slice = performance.mark("slice", { detail: null });
    let done = false;
    while (!done) {
      check("the training", core.page_train_step());
      done = isOver(slice.startTime) || atEndOfEpoch();
    }
    if (atEndOfEpoch()) endEpoch();
    else showProgress();
    channel.port2.postMessage(null);
  }).then(() => {
    if ($("error").textContent) pause();
  });
}

const isOver = (start) => core.page_has_passed(start, performance.now(), SLICE) !== 0;
const progress = () => doubles(core.page_progress(), 8);
const atEndOfEpoch = () => progress()[2] === progress()[3];

function endEpoch() {
  const [epochs, steps, , , loss, accuracy] = progress();
  const test = core.page_accuracy(1);
  const line = `after epoch ${epochs}: loss ${number.format(loss)}, ${percent.format(accuracy)} in training`;
  model.epochs_trained = epochs;
  model.steps_trained = steps;
  $("train-state").dataset.epochs = epochs;
  $("train-state").dataset.accuracy = test;
  $("train-state").textContent = test >= 0 ? `${line}, ${percent.format(test)} of the test set` : line;
  showCurves();
  refresh();
}

let shown = 0; // when the pictures were last shown

function showProgress() {
  const [epochs, steps, , , loss, accuracy, , share] = progress();
  $("progress").value = share;
  if (core.page_has_passed(shown, performance.now(), 150) === 0) return;
  shown = performance.now();
  $("train-state").textContent =
    `epoch ${epochs}, step ${steps}: loss ${number.format(loss)}, ${percent.format(accuracy)} right`;
  showCurves();
  refresh();
}

function showCurves() {
  const count = progress()[6];
  for (const which of [0, 1]) {
    const places = Array.from(floats(core.page_curve(which, 400, 200), core.page_twice(count)));
    $(`curve-${which}`).setAttribute("points", places.join(" "));
  }
}

function pause() {
  running = false;
  $("train").textContent = "Train";
}

function listenToTraining() {
  channel = new MessageChannel();
  channel.port1.onmessage = trainSlice;
  $("choices").addEventListener("submit", (event) => {
    event.preventDefault();
    if (running) return pause();
    attempt(() => {
      begin();
      running = true;
      $("train").textContent = "Pause";
      trainSlice();
    });
  });
  $("choices").addEventListener("input", () => {
    pause();
    began = false;
  });
  $("step").addEventListener("click", () => {
    pause();
    attempt(() => {
      begin();
      check("the training", core.page_train_step());
      shown = 0;
      showProgress();
      if (atEndOfEpoch()) endEpoch();
    });
  });
  $("restart").addEventListener("click", () => attempt(restart));
}

// ---------------------------------------------------------------- files

/** The bytes of a file; those of a gzip file, uncompressed. */
async function contents(file) {
  const raw = new Uint8Array(await file.arrayBuffer());
  return raw[0] === 0x1f && raw[1] === 0x8b ? inflate(raw) : raw;
}

async function inflate(raw) {
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Take data files: those whose name has "t10k" or "test" are the test set. */
async function openData(files) {
  pause();
  began = false;
  for (const file of files) {
    const set = /t10k|test/i.test(file.name) ? 1 : 0;
    const data = await contents(file);
    if (/\.csv(\.gz)?$/i.test(file.name)) {
      const ended = new Uint8Array(await new Blob([data, "\0"]).arrayBuffer());
      check(file.name, lend(ended, (address) => core.page_take_csv(set, address)));
    } else {
      check(file.name, lend(data, (address) => core.page_take_idx(set, address, data.length)));
    }
  }
  const words = [0, 1].map((set) => {
    const name = set === 0 ? "to train on" : "to test with";
    const rows = core.page_rows(set).toLocaleString("en");
    return `${rows} examples ${name}, ${core.page_labels(set).toLocaleString("en")} labels`;
  });
  $("data-state").textContent = words.join("; ");
  const ready = core.page_rows(0) > 0 && core.page_rows(0) === core.page_labels(0);
  $("train").disabled = $("step").disabled = !ready;
}

/** Open a model file of pynn: safetensors, whose metadata describe the network. */
function openModel(file) {
  const view = new DataView(file.buffer, file.byteOffset);
  const length = Number(view.getBigUint64(0, true));
  const rest = file.subarray(8);
  const { __metadata__: metadata, ...tensors } = JSON.parse(decoder.decode(rest.subarray(0, length)));
  if (metadata?.format !== "pynn") throw new Error("this is not a model of pynn");
  const description = JSON.parse(metadata.model);
  if (description.loss !== "softmax_cross_entropy") throw new Error("this page opens classifiers only");
  pause();
  began = false;
  create(description);
  const data = rest.subarray(length);
  const parameters = bytes(core.page_parameters(), arrays().at(-1).end);
  for (const { name, begin, end, shape } of arrays()) {
    const tensor = tensors[name];
    if (tensor?.dtype !== "F32" || tensor.shape.join() !== shape.join()) {
      throw new Error(`the tensor ${name} is missing, or does not fit the network`);
    }
    parameters.subarray(begin, end).set(data.subarray(...tensor.data_offsets));
  }
  refresh();
}

/** The arrays of the parameters: their names in a file, their shapes, and their bytes. */
function arrays() {
  const found = [];
  const counts = {};
  const names = model.layers.map(({ kind }) => {
    counts[kind] ??= 0;
    return `${kind}${(counts[kind] += 1)}`;
  });
  let numbers = new Uint32Array(core.memory.buffer, core.page_arrays(), 774);
  while (numbers[0] < names.length) {
    const [layer, isBias, begin, end, rows, columns] = numbers;
    const name = `${names[layer]}.${isBias ? "bias" : "weight"}`;
    found.push({ name, begin, end, shape: columns > 0 ? [rows, columns] : [rows] });
    numbers = numbers.subarray(6);
  }
  return found;
}

/** The bytes of a model file. */
function modelFile() {
  const header = {
    __metadata__: { format: "pynn", format_version: "1", model: JSON.stringify(model) },
  };
  for (const { name, begin, end, shape } of arrays()) {
    header[name] = { dtype: "F32", shape, data_offsets: [begin, end] };
  }
  const words = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(core.page_padded(words.length)).fill(32);
  padded.set(words);
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(padded.length), true);
  return new Blob([length.buffer, padded, bytes(core.page_parameters(), arrays().at(-1).end).slice()]);
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(modelFile());
  link.download = "model.safetensors";
  link.click();
  URL.revokeObjectURL(link.href);
}

function listenToFiles() {
  $("data").addEventListener("change", (event) => attempt(() => openData(event.target.files)));
  $("open").addEventListener("change", (event) =>
    attempt(async () => openModel(await contents(event.target.files[0]))),
  );
  $("save").addEventListener("click", () => attempt(save));
}

// ---------------------------------------------------------------- start

/** What the build put into the page: gzip, as base64. */
async function embedded(id) {
  const raw = Uint8Array.from(atob($(id).textContent.trim()), (letter) => letter.charCodeAt(0));
  return inflate(raw);
}

async function start() {
  const { instance } = await WebAssembly.instantiate(await embedded("core"));
  core = instance.exports;
  core._initialize();
  marks = JSON.parse(decoder.decode(await embedded("marks")));
  $("version").textContent = text(core.page_version());
  buildBars();
  openModel(await embedded("digits"));
  listenToPen();
  listenToTraining();
  listenToFiles();
  document.documentElement.dataset.ready = "yes";
}

start();
