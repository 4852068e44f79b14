// step.js: one step of training, explained: what each layer computed, from the pictures down to one number.
//
// Each array of the step is a figure: a picture, or a table if it is small. A value of it can be chosen, by a
// click or by arrow keys, and is then written out with the numbers that it comes from.

const X = 1, Y = 2, DY = 3, DX = 4, P = 5, LOSS = 6; // pynn_value
const BEFORE = 10, GRADIENT = 20, AFTER = 30, M_AFTER = 50, V_AFTER = 70; // of parameters; and 1 for a bias
const FEW = 8; // an array of at most so many rows and columns is a table
let facts; // of the step: see page_step_facts()

/** Do a step, and show everything that it computed. */
function explainStep() {
  begin();
  const open = new Set(Array.from(document.querySelectorAll("#explained details[open]"), (box) => box.id));
  check("the step cannot be done", core.page_explain_step());
  shown = 0;
  showProgress();
  if (atEndOfEpoch()) endEpoch();
  const [rows, loss, rate, t, isSparse] = doubles(core.page_step_facts(), 5);
  facts = { rows, loss, rate, t, isSparse };
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

const shapeOf = (layer) => `${layer > 0 ? core.page_width(layer - 1) : model.input} → ${core.page_width(layer)}`;
const sparse = (layer) => (layer === 0 && facts.isSparse ? "sparse" : "");
const symbols = (kind) => (kind === "dense" ? ["W", "b"] : ["weight", "bias"]);
const has = (layer, what) => core.page_step_array(layer, what) !== 0;

function forwardBlocks() {
  const names = layerNames(model);
  return model.layers.map(({ kind }, layer) => {
    const write = (index) => `Y${at(layer, Y, index)} = ${valueText(layer, index)}`;
    const own = symbols(kind).map((symbol, k) => figure(layer, BEFORE + k, symbol));
    const equations = kind === "dense" ? [markLine(`dense.${sparse(layer)}Y`), markLine("dense.b")] : [markLine(`${kind}.Y`)];
    const input = figure(layer, X, "X", layer > 0 ? `Y of ${names[layer - 1]}` : "the batch");
    return block(`forward-${layer}`, names[layer], shapeOf(layer), ...equations,
      row(input, ...own, figure(layer, Y, "Y", "", write)));
  });
}

function lossBlock() {
  const last = model.layers.length - 1;
  const labels = new Int32Array(core.memory.buffer, core.page_step_labels(), facts.rows);
  const some = Array.from(labels.subarray(0, 16)).join(" ") + (labels.length > 16 ? " …" : "");
  const kind = model.loss;
  return block("loss", words(kind), `mean over ${facts.rows} examples: ${four(facts.loss)}`,
    markLine(`${kind}.P`), markLine(`${kind}.loss`), markLine(`${kind}.dZ`),
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
    const own = symbols(kind).map((symbol, k) => figure(layer, GRADIENT + k, `d${symbol}`, "", kind === "dense"
      ? (index) => `d${symbol}${at(layer, GRADIENT + k, index)} = ${sumText(core.page_step_sum(layer, GRADIENT + k, index))}`
      : null));
    const write = (index) => `dX${at(layer, DX, index)} = ${gradientText(layer, index)}`;
    const equations = symbols(kind).map((symbol) =>
      markLine(`${kind}.${symbol === "W" ? sparse(layer) : ""}d${symbol}`)).filter(Boolean);
    const down = has(layer, DX)
      ? [markLine(`${kind}.dX`), figure(layer, DX, "dX", "", write)]
      : [element("p", { class: "quiet" }, "dX is not computed: no parameter needs it."), null];
    return block(`backward-${layer}`, names[layer], shapeOf(layer), ...equations, down[0],
      row(figure(layer, DY, "dY", above), ...own, down[1]));
  });
  return blocks.reverse().filter(Boolean);
}

function updateBlocks() {
  const names = layerNames(model);
  const adam = ["adam.m", "adam.v", "adam.p"];
  const momentum = Number($("momentum").value) > 0;
  const sgd = (layer) => [momentum ? "sgd.momentum" : `sgd.${layer === 0 && facts.isSparse ? "sparse" : "fused"}`];
  const count = facts.t > 0 ? `, t = ${facts.t}` : "";
  return model.layers.map(({ kind }, layer) => {
    if (!has(layer, BEFORE)) return null;
    const rule = $("optimizer").value === "sgd" ? sgd(layer) : adam;
    const figures = symbols(kind).flatMap((symbol, k) => [
      figure(layer, GRADIENT + k, `d${symbol}`, "gradient"),
      figure(layer, M_AFTER + k, `m of ${symbol}`), figure(layer, V_AFTER + k, `v of ${symbol}`),
      figure(layer, AFTER + k, `${symbol} after`, "the step", (index) =>
        `${symbol}${at(layer, AFTER + k, index)}: ${updateText(layer, k, index)}`),
    ]);
    return block(`update-${layer}`, names[layer], `r = ${facts.rate}${count}`, ...rule.map(markLine), row(...figures));
  }).filter(Boolean);
}

// ---------------------------------------------------------------- one value, written out

/** The place of a value in its array: "[3, 5]". */
function at(layer, what, index) {
  const [rows, columns] = doubles(core.page_step_array(layer, what), 2);
  return rows === 1 ? `[${index}]` : `[${Math.floor(index / columns)}, ${index % columns}]`;
}

function valueText(layer, index) {
  const { kind, rate, eps } = model.layers[layer];
  if (kind === "dense") return sumText(core.page_step_sum(layer, Y, index), "b");
  const [x, y, , , factor, mean, variance, weight, bias] = doubles(core.page_step_point(layer, index), 9);
  if (kind === "dropout") return `${part(factor)}·${part(x)} = ${four(y)}, with m = ${four(factor)} (rate ${rate})`;
  if (kind !== "layer_norm") return `${words(kind)}(${four(x)}) = ${four(y)}`;
  const h = `(${four(x)} − ${part(mean)}) / √(${four(variance)} + ${eps})`;
  return `${part(weight)}·${h} + ${part(bias)} = ${four(y)}`;
}

function gradientText(layer, index) {
  const { kind } = model.layers[layer];
  if (kind === "dense") return sumText(core.page_step_sum(layer, DX, index));
  const [x, y, dy, dx, factor] = doubles(core.page_step_point(layer, index), 9);
  if (kind === "dropout") return `${part(factor)}·${part(dy)} = ${four(dx)}`;
  return `${four(dx)}, from dy = ${four(dy)}, x = ${four(x)}, y = ${four(y)}`;
}

/** How a probability, the loss of its example, and the gradient of its logit come about. */
function lossTexts(index) {
  const [z, power, sum, p, isLabel, label, chance, loss, dz] = doubles(core.page_step_loss(index), 9);
  const last = model.layers.length - 1;
  const place = at(last, P, index);
  const smoothed = model.label_smoothing ? ` (label smoothing ${model.label_smoothing})` : "";
  return [
    `P${place} = exp(z − largest z) / sum = ${four(power)} / ${four(sum)} = ${four(p)}, for z = ${four(z)}`,
    `loss = −log P[label ${label}] = −log ${four(chance)} = ${four(loss)}${smoothed}`,
    `dZ${place} = (${four(p)} − ${isLabel}) / ${facts.rows} = ${four(dz)}${smoothed}`,
  ];
}

function updateText(layer, isBias, index) {
  const [p, g, after, m0, m, v0, v] = doubles(core.page_step_update(layer, isBias, index), 7);
  const r = facts.rate;
  if ($("optimizer").value === "sgd") {
    if (Number.isNaN(m)) return `${four(p)} − ${r}·${part(g)} = ${four(after)}`;
    return `m = ${$("momentum").value}·${part(m0)} + ${part(g)} = ${four(m)}; ${four(p)} − ${r}·${part(m)} = ${four(after)}`;
  }
  const decay = $("optimizer").value === "adamw" && !isBias ? ` − ${r}·0.01·${part(p)}` : "";
  return (
    `m = 0.9·${part(m0)} + 0.1·${part(g)} = ${four(m)}; v = 0.999·${part(v0)} + 0.001·${part(g)}² = ${four(v)}; ` +
    `${four(p)}${decay} − ${r}·(${four(m)} / (1 − 0.9^${facts.t})) / (√(${four(v)} / (1 − 0.999^${facts.t})) + 1e−8)` +
    ` = ${four(after)}`
  );
}

// ---------------------------------------------------------------- figures

/** An array of the step: its name, shape and picture; write(index) writes a chosen value out. */
function figure(layer, what, symbol, from = "", write = null) {
  const address = core.page_step_array(layer, what);
  if (address === 0) return null;
  const [rows, columns, width, height, least, mean, largest, place, zeros] = doubles(address, 9);
  const isTable = rows <= FEW && columns <= FEW;
  const name = `${symbol}, ${rows === 1 ? columns : `${rows} × ${columns}`}`;
  const written = element("p", { class: "sum", "aria-live": "polite" });
  const picture = isTable ? table(layer, what, rows, columns, choose) : canvas(width, height, name);
  const range = `${four(least)} to ${four(largest)}, mean ${four(mean)}`;
  const some = zeros >= 0.005 ? `, ${percent.format(zeros)} zeros` : "";
  const made = element("figure", {}, element("figcaption", {}, element("b", {}, name), from ? ` ${from}` : ""), picture,
    element("p", { class: "quiet" }, range + some), ...(write ? [written] : []));
  let chosenIndex = place;

  function choose(index) {
    chosenIndex = index;
    if (isTable) mark(picture, index);
    else show(picture, core.page_step_paint(layer, what, index), width, height);
    const value = four(floats(core.page_step_values(layer, what), rows * columns)[index]);
    made.title = `${symbol}${at(layer, what, index)} = ${value}`;
    if (write) written.textContent = write(index);
  }

  made.classList.toggle("written", write !== null);
  made.refresh = () => choose(chosenIndex);
  if (!isTable) listenToPicture(picture, layer, what, () => chosenIndex, choose);
  return made;
}

/** A picture of an array, as large as there is room for; a pixel is at most 14 pixels wide. */
function canvas(width, height, name) {
  const made = element("canvas", {
    tabindex: 0, role: "img", "aria-label": `${name}. Arrow keys choose a value, which is written out below.`,
  });
  const scale = Math.min(14, 300 / width, 260 / height);
  made.style.width = `${Math.max(scale * width, 14)}px`;
  made.style.height = `${Math.max(scale * height, 14)}px`;
  return made;
}

function table(layer, what, rows, columns, choose) {
  const values = floats(core.page_step_values(layer, what), rows * columns);
  const body = element("tbody");
  for (let r = 0; r < rows; r++) {
    const line = element("tr");
    for (let c = 0; c < columns; c++) {
      const index = r * columns + c;
      const button = element("button", { type: "button", "aria-pressed": "false" }, four(values[index]));
      button.addEventListener("click", () => choose(index));
      line.append(element("td", {}, button));
    }
    body.append(line);
  }
  return element("table", {}, body);
}

function mark(made, index) {
  made.querySelectorAll("button").forEach((button, k) => button.setAttribute("aria-pressed", k === index));
}

/** A click or an arrow key chooses a value of a picture. */
function listenToPicture(made, layer, what, chosenNow, choose) {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  made.addEventListener("click", (event) => {
    const x = Math.floor((event.offsetX * made.width) / made.clientWidth);
    const y = Math.floor((event.offsetY * made.height) / made.clientHeight);
    const index = core.page_step_pick(layer, what, x, y);
    if (index >= 0) choose(index);
  });
  made.addEventListener("keydown", (event) => {
    if (!moves[event.key]) return;
    event.preventDefault();
    const [dx, dy] = moves[event.key];
    const pixel = core.page_step_pixel(layer, what, chosenNow());
    for (const steps of [1, 2]) { // two over the line between pictures
      const x = (pixel % made.width) + steps * dx;
      const y = Math.floor(pixel / made.width) + steps * dy;
      const index = x < 0 || y < 0 ? -1 : core.page_step_pick(layer, what, x, y);
      if (index >= 0) return choose(index);
    }
  });
}
