// network.js: the description of the network, from a form or a file, and its parameters.

const KINDS = {
  dense: 1, relu: 2, sigmoid: 3, tanh: 4, leaky_relu: 5, gelu: 6, dropout: 7, silu: 8, elu: 9, softplus: 10,
  layer_norm: 11, conv2d: 12, max_pool2d: 13, avg_pool2d: 14, global_avg_pool: 15, flatten: 16, batch_norm: 17,
};
const INITS = { he: 1, xavier: 2 };
const LOSSES = { softmax_cross_entropy: 1, mean_squared_error: 2, binary_cross_entropy: 3 };
const OPTIONS = { leaky_relu: "slope", elu: "alpha", dropout: "rate", layer_norm: "eps", batch_norm: "eps" };
const WINDOWS = ["conv2d", "max_pool2d", "avg_pool2d"]; // kinds that have a size, a stride and padding
const MOST_SIZE = 1024; // of a window
const MOST_LAYERS = 64;
const MOST_UNITS = 65536;

let model; // as in the metadata of a model file
let source = "page"; // where the network is from: the "page" itself, the "form", or a "file"

const words = (kind) => kind.replaceAll("_", " ");
const isClassifier = () => model.loss === "softmax_cross_entropy";
const inputs = () => core.page_inputs();
const outputs = () => core.page_width(model.layers.length - 1);

/** The names of the layers, as in pynn: dense1, relu1, dense2, ... */
function layerNames(description) {
  const counts = {};
  return description.layers.map(({ kind }) => {
    counts[kind] = (counts[kind] ?? 0) + 1;
    return `${kind}${counts[kind]}`;
  });
}

/** The shape of rows behind so many layers of the network: channels, height and width. */
const shapeBehind = (count) => Array.from(new Uint32Array(core.memory.buffer, core.page_shape(count) >>> 0, 3));
const isImage = ([, height, width]) => height * width > 1;
const sizeText = (shape) => (isImage(shape) ? shape.join(" × ") : many(shape[0]));

// ---------------------------------------------------------------- making a network

const isCount = (x, most = MOST_UNITS) => Number.isInteger(x) && x >= 1 && x <= most;

/** Throw an error for windows that no layer has. */
function checkWindows(name, { kind, filters, size, stride, padding, groups }) {
  const isPair = Array.isArray(size) && size.length === 2 && size.every((side) => isCount(side, MOST_SIZE));
  if (!isPair) throw new Error(`${name}, ${words(kind)}, has a size of ${size}, not two numbers from 1 to ${many(MOST_SIZE)}`);
  if (!isCount(stride, MOST_SIZE)) throw new Error(`${name}, ${words(kind)}, has a stride of ${stride}, not 1 to ${many(MOST_SIZE)}`);
  const isWord = kind === "conv2d" && ["same", "valid"].includes(padding);
  if (!isWord && !(padding === 0 || isCount(padding, MOST_SIZE))) {
    throw new Error(`${name}, ${words(kind)}, has a padding that is not possible: ${padding}`);
  }
  if (kind !== "conv2d") return;
  if (!isCount(filters)) throw new Error(`${name} has ${filters} filters, not 1 to ${many(MOST_UNITS)}`);
  if (!isCount(groups)) throw new Error(`${name} has ${groups} groups, not 1 to ${many(MOST_UNITS)}`);
}

/** Throw an error for a description that is not one of a network. */
function checkDescription(it) {
  const isShape = Array.isArray(it?.input) && it.input.length === 3 && it.input.every((side) => isCount(side));
  if (!isShape && !isCount(it?.input)) {
    throw new Error(`the input is ${it?.input}, not a number from 1 to ${many(MOST_UNITS)}, or three: channels, height and width`);
  }
  if (!Array.isArray(it.layers) || it.layers.length === 0) throw new Error("the model has no layers");
  if (it.layers.length >= MOST_LAYERS) {
    throw new Error(`the model has ${it.layers.length} layers, and this page opens at most ${MOST_LAYERS - 1}`);
  }
  if (!Object.hasOwn(LOSSES, it.loss)) throw new Error(`this page does not know the loss ${it.loss}`);
  if (it.standardize) throw new Error("its targets are standardized, which this page does not know");
  const smoothing = it.label_smoothing ?? 0;
  if (!(smoothing >= 0 && smoothing < 1)) throw new Error(`its label smoothing is ${smoothing}, not from 0 to below 1`);
  for (const name of ["epochs_trained", "steps_trained"]) {
    const count = it[name] ?? 0;
    if (!(Number.isInteger(count) && count >= 0 && count < 2 ** 32)) throw new Error(`its ${name} is ${count}, not a whole number below 2^32`);
  }
  it.layers.forEach((layer, index) => {
    const name = `layer ${index + 1}`;
    if (!Object.hasOwn(KINDS, layer?.kind ?? "")) throw new Error(`${name} is of a kind that this page does not know: ${layer?.kind}`);
    const option = OPTIONS[layer.kind];
    if (layer.kind === "dense" && !isCount(layer.outputs)) {
      throw new Error(`${name} has ${layer.outputs} outputs, not 1 to ${many(MOST_UNITS)}`);
    }
    if (["dense", "conv2d"].includes(layer.kind) && !Object.hasOwn(INITS, layer.init ?? "")) throw new Error(`${name} has an unknown init: ${layer.init}`);
    if (WINDOWS.includes(layer.kind)) checkWindows(name, layer);
    if (layer.kind === "batch_norm" && !(layer.momentum > 0 && layer.momentum <= 1)) {
      throw new Error(`${name}, batch norm, has a momentum that is not possible: ${layer.momentum}`);
    }
    if (!option) return;
    const isInRange = layer[option] >= 0 && (layer.kind !== "dropout" || layer[option] < 1);
    if (!Number.isFinite(layer[option]) || !isInRange) {
      throw new Error(`${name}, ${words(layer.kind)}, has a ${option} that is not possible: ${layer[option]}`);
    }
  });
}

/** Make a new network, which is not yet that of the page; its parameters are 0. */
function createNew(description) {
  checkDescription(description);
  const [channels, height = 1, width = 1] = [description.input].flat();
  core.page_begin(channels, height, width, LOSSES[description.loss], description.label_smoothing ?? 0);
  description.layers.forEach((layer, index) => {
    const { kind, size = [1, 1], stride = 1, groups = 1, outputs = 0, filters = outputs, init, momentum = 0 } = layer;
    const padding = { same: -1, valid: 0 }[layer.padding] ?? layer.padding ?? 0;
    core.page_windows(...size, stride, padding, groups);
    const status = core.page_add(KINDS[kind], filters, INITS[init] ?? 0, layer[OPTIONS[kind]] ?? 0, momentum);
    check(`layer ${index + 1}, ${words(kind)}, does not go with the shape of its inputs`, status);
  });
  check("the network cannot be made", core.page_create());
}

/** Put the new network in the place of the one before. */
function accept(description, from) {
  core.page_accept();
  model = description;
  source = from;
  isChanged = false;
  pause();
  forgetRun();
  buildBars();
  buildLayers();
  if (seen !== DRAWING || inputs() !== 784) clearPaper();
  buildExample();
  describe();
  $("draw-side").hidden = inputs() !== 784;
  $("drawing-title").textContent = inputs() === 784 ? "Draw a digit" : "Look at an example";
  refresh();
}

function describe() {
  const chain = model.layers.map(({ kind, outputs, filters, size }) =>
    [words(kind), outputs ?? filters ?? "", size ? size.join("×") : ""].filter(Boolean).join(" "));
  const count = many(core.page_parameter_count());
  $("model-state").textContent =
    `${sizeText(shapeBehind(0))} inputs → ${chain.join(" → ")} → ${words(model.loss)}; ${count} parameters.`;
}

// ---------------------------------------------------------------- the form

/** A number of the form, between two others. */
function numberOf(id, least, most, isWhole) {
  const value = Number($(id).value);
  const label = $(id).labels[0].firstChild.textContent.trim();
  if ($(id).value.trim() === "" || !(value >= least && value <= most) || (isWhole && !Number.isInteger(value))) {
    const kind = isWhole ? "a whole number" : "a number";
    throw new Error(`${label} is "${$(id).value}"; it must be ${kind} from ${least} to ${many(most)}`);
  }
  return value;
}

/** The hidden layers of the form. */
function chosenLayers() {
  const hidden = $("hidden").value.split(/[\s,]+/).filter(Boolean).map(Number);
  if (hidden.length > 12 || hidden.some((units) => !(Number.isInteger(units) && units >= 1 && units <= 4096))) {
    throw new Error(
      `Hidden layers is "${$("hidden").value}"; it must be at most 12 whole numbers from 1 to 4,096, such as: 128 64`,
    );
  }
  const kind = $("activation").value;
  const init = ["sigmoid", "tanh"].includes(kind) ? "xavier" : "he";
  const rate = numberOf("dropout", 0, 0.99);
  return hidden.flatMap((units) => [
    { kind: "dense", outputs: units, init },
    ...($("norm").checked ? [{ kind: "layer_norm", eps: 1e-5 }] : []),
    { kind, ...{ leaky_relu: { slope: 0.01 }, elu: { alpha: 1 } }[kind] },
    ...(rate > 0 ? [{ kind: "dropout", rate }] : []),
  ]);
}

// The chains of pynn.models, but for their last layer.
const conv = (filters, side, padding) =>
  ({ kind: "conv2d", filters, size: [side, side], stride: 1, padding, groups: 1, init: "he" });
const relu = { kind: "relu" };
const pool = { kind: "max_pool2d", size: [2, 2], stride: 2, padding: 0 };
const normed = (filters) => [conv(filters, 3, "same"), { kind: "batch_norm", momentum: 0.1, eps: 1e-5 }, relu];
const hiddenUnits = (units) => [{ kind: "dense", outputs: units, init: "he" }, relu];
const PRESETS = {
  lenet: [conv(6, 5, "valid"), relu, pool, conv(16, 5, "valid"), relu, pool, { kind: "flatten" },
    ...hiddenUnits(120), ...hiddenUnits(84)],
  small_cnn: [...normed(8), pool, ...normed(16), pool, ...normed(32), { kind: "global_avg_pool" }],
};

/** The shape of the images in the data; 28 by 28 where none are open. */
function imageShape() {
  if (core.page_rows(0) === 0) return [1, 28, 28];
  const [height, width] = [core.page_image(0, 0), core.page_image(0, 1)];
  if (height === 0) throw new Error(`The data have ${many(core.page_columns(0))} columns, which are no images: choose dense layers.`);
  return [1, height, width];
}

/** The network that the form describes, for the data that are open. */
function chosenModel() {
  const seed = BigInt(numberOf("seed", 0, 4294967295, true));
  const trained = { seed, epochs_trained: 0, steps_trained: 0 };
  const chain = $("chain").value;
  if (chain === "open") return { ...model, ...trained };
  const layers = chain === "dense" ? chosenLayers() : PRESETS[chain].slice();
  const init = layers.findLast((layer) => layer.init)?.init ?? ($("activation").value === "tanh" ? "xavier" : "he");
  layers.push({ kind: "dense", outputs: Math.max(core.page_classes(0), core.page_classes(1), 2), init });
  const input = chain === "dense" ? core.page_columns(0) || 784 : imageShape();
  return { input, layers, loss: "softmax_cross_entropy", ...trained };
}

/** Show in the form what it can say of a network. */
function fillForm(description) {
  const of = (kind) => description.layers.find((layer) => layer.kind === kind);
  const isDense = description.layers.every(({ kind }) => KINDS[kind] <= KINDS.layer_norm);
  const hidden = JSON.stringify(description.layers.slice(0, -1));
  const preset = Object.keys(PRESETS).find((name) => JSON.stringify(PRESETS[name]) === hidden);
  chooseChain(isDense ? "dense" : (preset ?? "open"));
  if (!isDense) return;
  const dense = description.layers.filter(({ kind }) => kind === "dense");
  const activations = Array.from($("activation").options, ({ value }) => value);
  const activation = description.layers.find(({ kind }) => activations.includes(kind));
  $("hidden").value = dense.slice(0, -1).map((layer) => layer.outputs).join(" ");
  if (activation) $("activation").value = activation.kind;
  $("dropout").value = of("dropout")?.rate ?? 0;
  $("norm").checked = of("layer_norm") !== undefined;
}

/** Choose a kind of network in the form. Only a network that is open, and that it cannot describe, is "open". */
function chooseChain(name) {
  $("chain").value = name;
  $("chain-open").hidden = name !== "open";
  document.querySelectorAll("[data-dense]").forEach((label) => (label.hidden = name !== "dense"));
}

/** Make the network of the form, with new weights. */
function restart() {
  const description = chosenModel();
  createNew(description);
  check("the weights cannot be drawn", core.page_initialize(description.seed));
  accept(description, "form");
}

// ---------------------------------------------------------------- the arrays of the parameters

/** Their names in a file, their shapes, and their bytes; those of the new network, if isNew. */
function arrays(description, isNew) {
  const names = layerNames(description);
  const found = [];
  const numbers = new Uint32Array(core.memory.buffer, core.page_arrays(isNew) >>> 0, 9 * (4 * MOST_LAYERS + 1));
  for (let k = 0; numbers[k] < names.length; k += 9) {
    const [layer, name, begin, end, count, ...dims] = numbers.subarray(k, k + 9);
    found.push({ name: `${names[layer]}.${text(name)}`, begin, end, shape: dims.slice(0, count) });
  }
  return found;
}
