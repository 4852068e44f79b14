// network.js: the description of the network, from a form or a file, and its parameters.

const KINDS = {
  dense: 1, relu: 2, sigmoid: 3, tanh: 4, leaky_relu: 5, gelu: 6, dropout: 7, silu: 8, elu: 9, softplus: 10,
  layer_norm: 11,
};
const INITS = { he: 1, xavier: 2 };
const LOSSES = { softmax_cross_entropy: 1, mean_squared_error: 2, binary_cross_entropy: 3 };
const OPTIONS = { leaky_relu: "slope", elu: "alpha", dropout: "rate", layer_norm: "eps" };
const MOST_LAYERS = 64;
const MOST_UNITS = 65536;

let model; // as in the metadata of a model file
let source = "page"; // where the network is from: the "page" itself, the "form", or a "file"

const words = (kind) => kind.replaceAll("_", " ");
const isClassifier = () => model.loss === "softmax_cross_entropy";
const outputs = () => core.page_width(model.layers.length - 1);

/** The names of the layers, as in pynn: dense1, relu1, dense2, ... */
function layerNames(description) {
  const counts = {};
  return description.layers.map(({ kind }) => {
    counts[kind] = (counts[kind] ?? 0) + 1;
    return `${kind}${counts[kind]}`;
  });
}

// ---------------------------------------------------------------- making a network

/** Throw an error for a description that is not one of a network. */
function checkDescription(it) {
  const isCount = (x) => Number.isInteger(x) && x >= 1 && x <= MOST_UNITS;
  if (!isCount(it?.input)) throw new Error(`the number of inputs is ${it?.input}, not 1 to ${many(MOST_UNITS)}`);
  if (!Array.isArray(it.layers) || it.layers.length === 0) throw new Error("the model has no layers");
  if (it.layers.length >= MOST_LAYERS) {
    throw new Error(`the model has ${it.layers.length} layers, and this page opens at most ${MOST_LAYERS - 1}`);
  }
  if (!Object.hasOwn(LOSSES, it.loss)) throw new Error(`this page does not know the loss ${it.loss}`);
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
    if (layer.kind === "dense" && !Object.hasOwn(INITS, layer.init ?? "")) throw new Error(`${name} has an unknown init: ${layer.init}`);
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
  core.page_begin(description.input, LOSSES[description.loss], description.label_smoothing ?? 0);
  for (const layer of description.layers) {
    core.page_add(KINDS[layer.kind], layer.outputs ?? 0, INITS[layer.init] ?? 0, layer[OPTIONS[layer.kind]] ?? 0);
  }
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
  if (seen !== DRAWING || description.input !== 784) clearPaper();
  buildExample();
  describe();
  $("draw-side").hidden = model.input !== 784;
  $("drawing-title").textContent = model.input === 784 ? "Draw a digit" : "Look at an example";
  refresh();
}

function describe() {
  const chain = model.layers.map((l) => (l.kind === "dense" ? `dense ${l.outputs}` : words(l.kind)));
  const count = many(core.page_parameter_count());
  $("model-state").textContent =
    `${model.input} inputs → ${chain.join(" → ")} → ${words(model.loss)}; ${count} parameters.`;
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

/** The network that the form describes, for the data that are open. */
function chosenModel() {
  const hidden = $("hidden").value.split(/[\s,]+/).filter(Boolean).map(Number);
  if (hidden.length > 12 || hidden.some((units) => !(Number.isInteger(units) && units >= 1 && units <= 4096))) {
    throw new Error(
      `Hidden layers is "${$("hidden").value}"; it must be at most 12 whole numbers from 1 to 4,096, such as: 128 64`,
    );
  }
  const kind = $("activation").value;
  const init = ["sigmoid", "tanh"].includes(kind) ? "xavier" : "he";
  const rate = numberOf("dropout", 0, 0.99);
  const layers = hidden.flatMap((units) => [
    { kind: "dense", outputs: units, init },
    ...($("norm").checked ? [{ kind: "layer_norm", eps: 1e-5 }] : []),
    { kind, ...{ leaky_relu: { slope: 0.01 }, elu: { alpha: 1 } }[kind] },
    ...(rate > 0 ? [{ kind: "dropout", rate }] : []),
  ]);
  layers.push({ kind: "dense", outputs: Math.max(core.page_classes(0), core.page_classes(1), 2), init });
  const seed = BigInt(numberOf("seed", 0, 4294967295, true));
  const input = core.page_columns(0) || 784;
  return { input, layers, loss: "softmax_cross_entropy", seed, epochs_trained: 0, steps_trained: 0 };
}

/** Show in the form what it can say of a network. */
function fillForm(description) {
  const of = (kind) => description.layers.find((layer) => layer.kind === kind);
  const dense = description.layers.filter(({ kind }) => kind === "dense");
  const activations = Array.from($("activation").options, ({ value }) => value);
  const activation = description.layers.find(({ kind }) => activations.includes(kind));
  $("hidden").value = dense.slice(0, -1).map((layer) => layer.outputs).join(" ");
  if (activation) $("activation").value = activation.kind;
  $("dropout").value = of("dropout")?.rate ?? 0;
  $("norm").checked = of("layer_norm") !== undefined;
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
  const numbers = new Uint32Array(core.memory.buffer, core.page_arrays(isNew), 774);
  for (let k = 0; numbers[k] < names.length; k += 6) {
    const [layer, isBias, begin, end, rows, columns] = numbers.subarray(k);
    const name = `${names[layer]}.${isBias ? "bias" : "weight"}`;
    found.push({ name, begin, end, shape: columns > 0 ? [rows, columns] : [rows] });
  }
  return found;
}
