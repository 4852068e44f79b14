// step.js: one step of training, explained: what each layer computed, from the pictures down to one number.
//
// Each array of the step is a figure: a picture, or a table if it is small. A value of it can be chosen, by a
// click or by arrow keys, and is then written out with the numbers that it comes from.

const X = 1, Y = 2, DY = 3, DX = 4, P = 5, LOSS = 6; // pynn_value
const BEFORE = 10, GRADIENT = 20, AFTER = 30, M_AFTER = 50, V_AFTER = 70; // of parameters; and 1 for a bias
const FEW = 8; // an array of at most so many rows and columns is a table
const FACTS = ["rows", "loss", "rate", "t", "isSparse", "momentum", "decay", "beta1", "rest1", "beta2", "rest2", "eps", "certain"];
let facts; // of the step: see page_step_facts()

/** Do a step, and show everything that it computed. */
function explainStep() {
  begin();
  const open = new Set(Array.from(document.querySelectorAll("#explained details[open]"), (box) => box.id));
  const status = core.page_explain_step();
  if (status !== 0) $("explained").hidden = true; // its values are gone
  check("the step cannot be done", status);
  shown = 0;
  showProgress();
  if (atEndOfEpoch()) endEpoch();
  facts = { optimizer: $("optimizer").value };
  const numbers = doubles(core.page_step_facts(), FACTS.length);
  FACTS.forEach((name, k) => (facts[name] = numbers[k]));
  $("step-title").textContent = `Step ${many(model.steps_trained)}, explained`;
  const parts = [forwardBlocks(), [lossBlock()], backwardBlocks(), updateBlocks()];
  ["forward", "loss", "backward", "update"].forEach((name, k) => $(`step-${name}`).replaceChildren(...parts[k]));
  const isFirst = $("explained").hidden;
  $("explained").hidden = false;
  for (const box of document.querySelectorAll("#explained details")) {
    box.open = isFirst ? !/-[1-9]/.test(box.id) || box.id === "forward-0" : open.has(box.id);
  }
  if (isFirst) $("explained").scrollIntoView({ block: "start" });
}

// ---------------------------------------------------------------- blocks

/** A block that can be folded. Its figures are painted when it is opened. */
function block(id, title, shape, ...children) {
  const box = element("details", { id }, element("summary", {}, element("b", {}, title), ` ${shape}`));
  box.append(...children);
  box.addEventListener("toggle", () => {
    if (box.open) box.querySelectorAll("figure").forEach((figure) => figure.refresh());
  });
  return box;
}

/** Marks and figures side by side; what is missing is left out. */
const row = (...figures) => element("div", { class: "figures" }, ...figures.filter(Boolean));

const shapeOf = (layer) => `${sizeText(shapeBehind(layer))} → ${sizeText(shapeBehind(layer + 1))}`;
const sparse = (layer) => (layer === 0 && facts.isSparse ? "sparse" : "");
const isProduct = (kind) => kind === "dense" || kind === "conv2d";
const isPool = (kind) => kind.endsWith("pool2d") || kind === "global_avg_pool";
const symbols = (kind) => (isProduct(kind) ? ["W", "b"] : ["weight", "bias"]);
const RUNNING = { 2: "running mean", 3: "running variance" }; // of batch normalization: its arrays 2 and 3
const has = (layer, what) => core.page_step_array(layer, what) !== 0;
const ownSymbols = (layer) => (has(layer, BEFORE) ? symbols(model.layers[layer].kind) : []);

function forwardBlocks() {
  const names = layerNames(model);
  return model.layers.map(({ kind }, layer) => {
    const write = (index) => `Y${at(layer, Y, index)} = ${valueText(layer, index)}`;
    const own = symbols(kind).map((symbol, k) => figure(layer, BEFORE + k, symbol));
    const equations = [markLine(`${kind}.${kind === "dense" ? sparse(layer) : ""}Y`)];
    if (kind === "dense") equations.push(markLine("dense.b"));
    if (kind === "batch_norm") equations.unshift(markLine("batch_norm.mean"));
    const input = figure(layer, X, "X", layer > 0 ? `Y of ${names[layer - 1]}` : "the batch");
    return block(`forward-${layer}`, names[layer], shapeOf(layer), ...equations,
      ...forwardRemarks(layer), row(input, ...own, figure(layer, Y, "Y", "", write)));
  });
}

const remark = (words) => element("p", { class: "remark" }, words);

/** What the values of a layer teach, if anything. */
function forwardRemarks(layer) {
  const { kind } = model.layers[layer];
  const [flat] = doubles(core.page_step_remarks(layer), 1);
  const shape = shapeBehind(layer + 1);
  const units = `${many(flat)} of ${many(shape[0])} ${isImage(shape) ? "channels" : "units"}`;
  if (layer === 0 && facts.isSparse) return [remark("Most of X is 0: C multiplies the other values only (sparse rows).")];
  if (flat > 0 && kind === "relu") {
    return [remark(`${units} are 0 for every example of the batch (dead ReLU): no gradient passes them.`)];
  }
  if (flat > 0) {
    return [remark(`${units} are saturated: their slope is below 0.01 for every example, so hardly any gradient passes.`)];
  }
  if (kind === "batch_norm") return [remark("In training the mean and the variance are those of the batch; in use they are the running ones.")];
  return [];
}

function backwardRemarks(layer) {
  const [, above, below, vanishes] = doubles(core.page_step_remarks(layer), 4);
  return has(layer, DX) && vanishes ? [remark(`The gradient vanishes here: the norm of dX is ${four(below)}, and that of dY ${four(above)}.`)] : [];
}

function lossBlock() {
  const last = model.layers.length - 1;
  const labels = new Int32Array(core.memory.buffer, core.page_step_labels() >>> 0, facts.rows);
  const some = Array.from(labels.subarray(0, 16)).join(" ") + (labels.length > 16 ? " …" : "");
  const kind = model.loss;
  const smoothed = model.label_smoothing > 0 ? "smoothed" : "";
  return block("loss", words(kind), `mean over ${facts.rows} examples: ${four(facts.loss)}`,
    markLine(`${kind}.P`), markLine(`${kind}.${smoothed}loss`), markLine(`${kind}.${smoothed}dZ`),
    element("p", { class: "sum" }, `labels: ${some}`),
    row(figure(last, Y, "Z", "the logits"), figure(last, P, "P", "probabilities", (index) => lossTexts(index)[0]),
      figure(last, LOSS, "loss", "of each example", (index) => lossTexts(index * outputs())[1]),
      figure(last, DY, "dZ", "gradient of the mean loss", (index) => lossTexts(index)[2])));
}

function backwardBlocks() {
  const names = layerNames(model);
  const last = names.length - 1;
  const blocks = model.layers.map(({ kind }, layer) => {
    if (!has(layer, DY)) return null;
    const above = layer === last ? "dZ of the loss" : `dX of ${names[layer + 1]}`;
    const own = symbols(kind).map((symbol, k) => figure(layer, GRADIENT + k, `d${symbol}`, "", isProduct(kind) || kind === "batch_norm"
      ? (index) => `d${symbol}${at(layer, GRADIENT + k, index)} = ${sumText(core.page_step_sum(layer, GRADIENT + k, index), "", k === 0)}`
      : null));
    const write = (index) => `dX${at(layer, DX, index)} = ${gradientText(layer, index)}`;
    const equations = ownSymbols(layer).map((symbol) =>
      markLine(`${kind}.${kind === "dense" && symbol === "W" ? sparse(layer) : ""}d${symbol}`));
    const down = has(layer, DX)
      ? [markLine(`${kind}.dX`), figure(layer, DX, "dX", "", write)]
      : [element("p", { class: "quiet" }, "dX is not computed: no parameter needs it."), null];
    return block(`backward-${layer}`, names[layer], shapeOf(layer), ...equations, down[0], ...backwardRemarks(layer),
      row(figure(layer, DY, "dY", above), ...own, down[1]));
  });
  return blocks.reverse().filter(Boolean);
}

/** The names of the equations that updated a layer. SGD without momentum is part of the layer's own step. */
function ruleOf(layer) {
  const { kind } = model.layers[layer];
  if (facts.optimizer !== "sgd") return ["adam.m", "adam.v", `${facts.optimizer}.p`];
  if (facts.momentum > 0) return ["sgd.momentum"];
  return ownSymbols(layer).map((symbol) => `${kind}.fused${kind === "dense" && symbol === "W" ? sparse(layer) : ""}${symbol}`);
}

function updateBlocks() {
  const names = layerNames(model);
  const count = facts.t > 0 ? `, t = ${facts.t}` : "";
  return model.layers.map(({ kind }, layer) => {
    if (!has(layer, BEFORE)) return null;
    const figures = symbols(kind).flatMap((symbol, k) => [
      figure(layer, GRADIENT + k, `d${symbol}`, "gradient"),
      figure(layer, M_AFTER + k, `m of ${symbol}`), figure(layer, V_AFTER + k, `v of ${symbol}`),
      figure(layer, AFTER + k, `${symbol} after`, "the step", (index) =>
        `${symbol}${at(layer, AFTER + k, index)}: ${updateText(layer, k, index)}`, GRADIENT + k),
    ]);
    const running = [2, 3].map((k) => figure(layer, AFTER + k, `${RUNNING[k]} after`, "follows the batches",
      (index) => runningText(layer, k, index)));
    const rules = [...ruleOf(layer), ...(kind === "batch_norm" ? ["batch_norm.running"] : [])];
    return block(`update-${layer}`, names[layer], `r = ${facts.rate}${count}`, ...rules.map(markLine), row(...figures, ...running));
  }).filter(Boolean);
}

// ---------------------------------------------------------------- one value, written out

/** The place of a value in its array: "[3, 5]". */
const at = (layer, what, index) => `[${counted(core.page_step_place(layer, what, index)).join(", ")}]`;

// The scalar functions and their slopes, with numbers.
const FORMULAS = {
  relu: (x) => `max(${four(x)}, 0)`,
  sigmoid: (x) => `1 / (1 + exp(−${part(x)}))`,
  tanh: (x) => `tanh(${four(x)})`,
  leaky_relu: (x, { slope }) => (x > 0 ? four(x) : `${slope}·${part(x)}`),
  gelu: (x) => `${part(x)}·Φ(${four(x)})`,
  silu: (x) => `${part(x)} / (1 + exp(−${part(x)}))`,
  elu: (x, { alpha }) => (x > 0 ? four(x) : `${alpha}·(exp(${four(x)}) − 1)`),
  softplus: (x) => `log(1 + exp(${four(x)}))`,
  flatten: (x) => four(x),
};
const SLOPES = {
  relu: (x) => (x > 0 ? 1 : 0),
  sigmoid: (x, y) => `${part(y)}·(1 − ${part(y)})`,
  tanh: (x, y) => `(1 − ${part(y)}²)`,
  leaky_relu: (x, y, { slope }) => (x > 0 ? 1 : slope),
  gelu: (x) => `(Φ(${four(x)}) + ${part(x)}·φ(${four(x)}))`,
  silu: (x) => `s·(1 + ${part(x)}·(1 − s)), s = sigmoid(${four(x)}),`,
  elu: (x, y, { alpha }) => (x > 0 ? 1 : `${alpha}·exp(${four(x)})`),
  softplus: (x) => `sigmoid(${four(x)})`,
  flatten: () => 1,
};

function valueText(layer, index) {
  const { kind, rate, eps } = model.layers[layer];
  const sum = core.page_step_sum(layer, Y, index);
  if (kind === "dense") return sumText(sum, "b");
  if (sum !== 0) return windowText(kind, sum, floats(core.page_step_values(layer, Y), index + 1)[index], core.page_window_size(layer));
  const [x, y, , , factor, mean, variance, weight, bias] = doubles(core.page_step_point(layer, index), 9);
  if (kind === "dropout") return `${part(factor)}·${part(x)} = ${four(y)}, with m = ${four(factor)} (rate ${rate})`;
  if (!kind.endsWith("norm")) return `${FORMULAS[kind](x, model.layers[layer])} = ${four(y)}`;
  return `${normText(x, mean, variance, eps, weight, bias)} = ${four(y)}`;
}

function gradientText(layer, index) {
  const { kind } = model.layers[layer];
  const sum = core.page_step_sum(layer, DX, index);
  if (isProduct(kind) || kind === "max_pool2d") return sumText(sum);
  if (isPool(kind)) {
    const value = floats(core.page_step_values(layer, DX), index + 1)[index];
    return `(${sumTerms(sum, "", false)}) / ${core.page_window_size(layer)} = ${four(value)}`;
  }
  const [x, y, dy, dx, factor] = doubles(core.page_step_point(layer, index), 9);
  if (kind === "dropout") return `${part(factor)}·${part(dy)} = ${four(dx)}`;
  if (kind.endsWith("norm")) {
    const from = kind === "layer_norm" ? "row" : "channel";
    return `${four(dx)}, from the whole ${from} of dY and X, which is too long to write out; here dy = ${four(dy)}, x = ${four(x)}`;
  }
  return `${part(dy)}·${SLOPES[kind](x, y, model.layers[layer])} = ${four(dx)}`;
}

/** How a probability, the loss of its example, and the gradient of its logit come about. */
function lossTexts(index) {
  const [z, power, sum, p, isLabel, label, chance, loss, dz, mean] = doubles(core.page_step_loss(index), 10);
  const last = model.layers.length - 1;
  const place = at(last, P, index);
  const s = model.label_smoothing ?? 0;
  const log = chance > 0 ? `−log ${four(chance)}` : "−log (a P that is 0 as a float)";
  const target = s > 0 ? `(${four(facts.certain)}·${isLabel} + ${s} / ${outputs()})` : isLabel;
  return [
    `P${place} = exp(z − largest z) / sum = ${four(power)} / ${four(sum)} = ${four(p)}, for z = ${four(z)}`,
    s > 0
      ? `loss = (1 − ${s})·(−log P[label ${label}]) + ${s}·mean of −log P = ${four(facts.certain)}·(${log}) + ${s}·${four(mean)} = ${four(loss)}`
      : `loss = −log P[label ${label}] = ${log} = ${four(loss)}`,
    `dZ${place} = (${four(p)} − ${target}) / ${facts.rows} = ${four(dz)}`,
  ];
}

function runningText(layer, part, channel) {
  const [before, after, found] = doubles(core.page_step_running(layer, part, channel), 3);
  const { momentum } = model.layers[layer];
  const what = part === 2 ? "the mean" : "the variance, with the count less 1 as divisor,";
  return `${seven(before)} + ${momentum}·(${seven(found)} − ${seven(before)}) = ${seven(after)}: ${what} of the batch is ${seven(found)}`;
}

function updateText(layer, isBias, index) {
  const [p, g, after, m0, m, v0, v, decays] = doubles(core.page_step_update(layer, isBias, index), 8);
  const r = facts.rate;
  if (facts.optimizer === "sgd") {
    const start = facts.momentum > 0 ? `m = ${facts.momentum}·${part(m0)} + ${part(g)} = ${four(m)}; ` : "";
    return `${start}${seven(p)} − ${r}·${part(facts.momentum > 0 ? m : g)} = ${seven(after)}`;
  }
  const decay = facts.decay > 0 && decays ? ` − ${r}·${facts.decay}·${part(p)}` : "";
  const { beta1, beta2, rest1, rest2, eps } = facts;
  return (
    `m = ${beta1}·${part(m0)} + ${four(rest1)}·${part(g)} = ${four(m)}; v = ${beta2}·${part(v0)} + ${four(rest2)}·${part(g)}² = ${four(v)}; ` +
    `${seven(p)}${decay} − ${r}·(${four(m)} / (1 − ${beta1}^${facts.t})) / (√(${four(v)} / (1 − ${beta2}^${facts.t})) + ${four(eps)})` +
    ` = ${seven(after)}`
  );
}

// ---------------------------------------------------------------- figures

/** An array of the step: its name, shape and picture; write(index) writes a chosen value out. At first that is
 * the largest value, or the one at the place where another array is largest. */
function figure(layer, what, symbol, from = "", write = null, other = what) {
  const address = core.page_step_array(layer, what);
  if (address === 0) return null;
  const [rows, columns, width, height, least, mean, largest, , zeros, visible] = doubles(address, 10);
  const shape = counted(core.page_step_shape(layer, what));
  const isTable = rows <= FEW && columns <= FEW && shape.length <= 2;
  const name = `${symbol}, ${shape.join(" × ")}`;
  const written = element("p", { class: "sum", "aria-live": "polite" });
  const picture = isTable ? table(layer, what, rows, columns, choose) : canvas(width, height, name, width !== columns);
  const range = `${four(least)} to ${four(largest)}, mean ${four(mean)}`;
  const some = zeros >= 0.005 ? `, ${percent.format(zeros)} zeros` : "";
  const shown = visible < rows ? `; shown: the first ${visible} of ${rows} examples` : "";
  const made = element("figure", {}, element("figcaption", {}, element("b", {}, name), from ? ` ${from}` : ""), picture,
    element("p", { class: "quiet" }, `${range}${some}${shown}`), written);
  let chosenIndex = doubles(core.page_step_array(layer, other), 9)[7];

  function choose(index) {
    chosenIndex = index;
    if (isTable) mark(picture, index);
    else show(picture, core.page_step_paint(layer, what, index), width, height);
    const value = floats(core.page_step_values(layer, what), rows * columns)[index];
    written.textContent = write?.(index) ?? `${symbol}${at(layer, what, index)} = ${four(value)}`;
  }

  made.refresh = () => choose(chosenIndex);
  if (!isTable) {
    listenToPicture(picture, (x, y) => core.page_step_pick(layer, what, x, y),
      () => core.page_step_pixel(layer, what, chosenIndex), choose);
  }
  return made;
}

/** A picture of an array, as large as there is room for. A value is at most 14 pixels wide and high; it is square
 * in pictures of 28 by 28 values. */
function canvas(width, height, name, isTiled) {
  const made = element("canvas", {
    tabindex: 0, role: "application", "aria-label": `${name}. Arrow keys choose a value, which is written out below.`,
  });
  const across = Math.min(14, 220 / width);
  const down = Math.min(14, 220 / height);
  made.style.width = `${width * (isTiled ? Math.min(across, down) : across)}px`;
  made.style.height = `${height * (isTiled ? Math.min(across, down) : down)}px`;
  return made;
}

function table(layer, what, rows, columns, choose) {
  const values = floats(core.page_step_values(layer, what), rows * columns);
  const body = element("tbody");
  for (let r = 0; r < rows; r++) {
    const line = element("tr");
    for (let c = 0; c < columns; c++) {
      const index = r * columns + c;
      const button = element("button", { type: "button" }, four(values[index]));
      button.addEventListener("click", () => choose(index));
      line.append(element("td", {}, button));
    }
    body.append(line);
  }
  const made = element("table", {}, body);
  made.addEventListener("keydown", (event) => {
    if (!MOVES[event.key]) return;
    event.preventDefault();
    const [dx, dy] = MOVES[event.key];
    const cell = document.activeElement.closest("td");
    const next = body.rows[cell.parentNode.rowIndex + dy]?.cells[cell.cellIndex + dx]?.firstChild;
    next?.click();
    next?.focus();
  });
  return made;
}

/** Mark the chosen value of a table; the tabulator key stops at it alone. */
function mark(made, index) {
  made.querySelectorAll("button").forEach((button, k) => {
    button.setAttribute("aria-pressed", k === index);
    button.tabIndex = k === index ? 0 : -1;
  });
}

/** A click or an arrow key chooses a value of a picture: find(x, y) is its number, and pixelNow() where the
 * chosen one is. */
function listenToPicture(made, find, pixelNow, choose) {
  made.addEventListener("click", (event) => {
    const x = Math.floor((event.offsetX * made.width) / made.clientWidth);
    const y = Math.floor((event.offsetY * made.height) / made.clientHeight);
    const index = find(x, y);
    if (index >= 0) choose(index);
  });
  made.addEventListener("keydown", (event) => {
    if (!MOVES[event.key]) return;
    event.preventDefault();
    const [dx, dy] = MOVES[event.key];
    const pixel = pixelNow();
    for (const steps of [1, 2]) { // two over the line between pictures
      const x = (pixel % made.width) + steps * dx;
      const y = Math.floor(pixel / made.width) + steps * dy;
      const index = x < 0 || y < 0 ? -1 : find(x, y);
      if (index >= 0) return choose(index);
    }
  });
}
