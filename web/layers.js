// layers.js: the probabilities, the layers, and one unit written out.

const MOST_BARS = 24; // of so many classes the first are shown
const MOST_SHOWN = 1024; // units of a layer, likewise
let bars = []; // for each class its row, and the text of its probability
let layers = []; // for each layer the buttons of its units, or the picture of its feature maps
let isAsked = false; // whether showValues() is to be called for the next frame
let chosen = null; // the unit that is shown: its layer and its number

/** Show everything that depends on the parameters. */
function refresh() {
  refreshDigit();
  refreshTiles();
}

/** Show the weights of the first layer as pictures, or what the network says of the plane. */
function refreshTiles() {
  const isPlane = core.page_has_plane() === 1;
  $("plane-figure").hidden = !isPlane;
  if (isPlane) show($("plane"), core.page_paint_plane(), core.page_plane_side(), core.page_plane_side());
  const size = pair(core.page_tiles_size());
  $("tiles-figure").hidden = size[0] === 0;
  $("tiles-caption").textContent = `weights of the first layer's ${model.layers[0].kind === "conv2d" ? "filters" : "units"}`;
  if (size[0] > 0) show($("tiles"), core.page_paint_tiles(), ...size);
}

/** Two numbers of the C code, such as the width and the height of a picture. */
const pair = (address) => Array.from(new Uint32Array(core.memory.buffer, address >>> 0, 2));

/** Show everything that depends on the drawing or the example. */
function refreshDigit() {
  show(paper, core.page_paint_grey(1), 224, 224);
  show($("digit"), core.page_paint_grey(0), 28, 28);
  $("hint").hidden = seen !== NOTHING;
  const isRead = core.page_look() === 0 && seen !== NOTHING;
  const values = floats(core.page_probabilities(), outputs()).slice();
  const best = core.page_answer();
  const isProbability = model.loss !== "mean_squared_error";
  $("answer").textContent = isRead && isProbability && outputs() > 1 ? best : "–";
  bars.forEach(({ row, share }, label) => {
    const shown = isProbability ? percent.format(values[label]) : four(values[label]);
    row.style.setProperty("--share", isRead && isProbability ? values[label] : 0);
    row.classList.toggle("best", isRead && isProbability && label === best);
    share.textContent = isRead ? shown : "";
  });
  if (!isAsked) requestAnimationFrame(showValues);
  isAsked = true;
}

/** Show the values of the layers: after the answer, and once a frame, because browsers take long for it. */
function showValues() {
  isAsked = false;
  layers.forEach((units, layer) => {
    if (Array.isArray(units)) colour(units, core.page_paint_outputs(layer, -1));
    else showMaps(layer);
  });
  showUnit();
}

/** Show the feature maps of a layer, with a mark on the unit that is chosen. */
function showMaps(layer) {
  const marked = chosen.layer === layer ? chosen.unit : -1;
  show(layers[layer], core.page_paint_outputs(layer, marked), ...pair(core.page_outputs_size(layer)));
}

/** Give each unit of a layer its colour. */
function colour(units, address) {
  const painted = new Uint32Array(core.memory.buffer, address >>> 0, units.length);
  const parts = bytes(address, units.length * 4);
  units.forEach((unit, index) => {
    if (unit.painted === painted[index]) return;
    unit.painted = painted[index];
    const [red, green, blue] = parts.subarray(4 * index);
    unit.style.backgroundColor = `rgb(${red} ${green} ${blue})`;
  });
}

function buildBars() {
  const count = Math.min(outputs(), MOST_BARS);
  bars = Array.from({ length: count }, (_, label) => {
    const share = element("span", { class: "share" });
    const row = element("li", {}, share, element("i", { "aria-hidden": "true" }), element("b", {}, label));
    return { row, share };
  });
  $("probabilities").replaceChildren(...bars.map(({ row }) => row));
  $("probabilities").classList.toggle("narrow", count > 12);
}

function buildLayers() {
  chosen = null;
  $("unit").hidden = true;
  const names = layerNames(model);
  const boxes = [];
  layers = model.layers.map(({ kind }, layer) => {
    const shape = shapeBehind(layer + 1);
    const width = core.page_width(layer);
    const units = isImage(shape) ? maps(layer, names[layer], shape) : buttons(layer, names[layer], width);
    const count = width > MOST_SHOWN && !isImage(shape) ? `${many(MOST_SHOWN)} of ${many(width)}` : sizeText(shape);
    boxes.push(element("li", { class: "layer" }, element("h3", {}, `${words(kind)} `, element("span", {}, count)), units));
    return isImage(shape) ? units : Array.from(units.children);
  });
  $("layers").replaceChildren(...boxes);
  choose(0, core.page_middle_unit(0));
}

/** The units of a layer as buttons. */
function buttons(layer, name, width) {
  const units = element("div", { class: "units", role: "group", "aria-label": `${name}, ${width} units` });
  const made = Array.from({ length: Math.min(width, MOST_SHOWN) }, (_, unit) => {
    const button = element("button", {
      type: "button", tabindex: unit === 0 ? 0 : -1, "aria-label": `unit ${unit}`, "aria-pressed": "false",
    });
    button.addEventListener("click", () => choose(layer, unit));
    return button;
  });
  units.style.setProperty("--across", Math.min(Math.ceil(Math.sqrt(width)), 32));
  units.append(...made);
  units.addEventListener("keydown", moveAmongUnits);
  return units;
}

/** The feature maps of a layer: a picture with a tile for each channel, in which a unit can be chosen. */
function maps(layer, name, [channels, height, width]) {
  const picture = element("canvas", {
    class: "maps", tabindex: 0, role: "application",
    "aria-label": `${name}, ${channels} feature maps of ${height} by ${width}. Arrow keys choose a unit.`,
  });
  const [across] = pair(core.page_outputs_size(layer));
  const pixels = Math.max(1, Math.min(Math.floor(200 / across), 8));
  picture.style.width = `${across * pixels}px`;
  listenToPicture(picture, (x, y) => core.page_unit_at(layer, x, y),
    () => core.page_unit_pixel(layer, chosen.layer === layer ? chosen.unit : 0), (unit) => choose(layer, unit));
  return picture;
}

/** Arrow keys move between the units of a layer. */
function moveAmongUnits(event) {
  if (!MOVES[event.key]) return;
  event.preventDefault();
  const here = document.activeElement;
  const units = Array.from(here.parentNode.children);
  const across = Number(here.parentNode.style.getPropertyValue("--across"));
  const [dx, dy] = MOVES[event.key];
  const next = units[units.indexOf(here) + dx + dy * across];
  if (!next) return;
  here.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

// ---------------------------------------------------------------- one unit

function choose(layer, unit) {
  const before = chosen ?? { layer, unit };
  chosen = { layer, unit };
  for (const it of [before, chosen]) {
    const units = layers[it.layer];
    if (Array.isArray(units)) units[it.unit].setAttribute("aria-pressed", it === chosen);
    else showMaps(it.layer);
  }
  $("unit").hidden = false;
  showUnit();
}

/** The place of a unit: its number, or in images its channel, row and column. */
function unitPlace(layer, unit) {
  const place = counted(core.page_unit_place(layer, unit));
  return place.length > 1 ? `[${place.join(", ")}]` : place[0];
}

/** Show the chosen unit: its weights, its sum written out, its equation and the line of C. */
function showUnit() {
  const { layer, unit } = chosen;
  const { kind } = model.layers[layer];
  const place = unitPlace(layer, unit);
  $("unit-title").textContent = `${layerNames(model)[layer]}, unit ${place}`;
  const size = pair(core.page_unit_size(layer, unit));
  $("unit-weights").hidden = size[0] === 0;
  if (size[0] > 0) show($("unit-weights"), core.page_paint_unit(layer, unit), ...size);
  $("unit-weights").classList.toggle("picture", size[1] > 1);
  $("unit-weights").style.aspectRatio = size[1] > 1 ? `${size[0]} / ${size[1]}` : "";
  $("unit-sum").textContent = `y${place} = ${unitText(layer, unit)}`;
  const isSparse = kind === "dense" && layer === 0 && core.page_look_is_sparse() === 1;
  $("unit-mark").replaceChildren(markLine(`${kind}.${isSparse ? "sparse" : ""}Y`));
}

/** How a unit comes about. */
function unitText(layer, unit) {
  const { kind } = model.layers[layer];
  const sum = core.page_unit_sum(layer, unit);
  if (kind === "dense") return sumText(sum, "b");
  const width = core.page_width(layer);
  const y = floats(core.page_outputs(layer), width)[unit];
  if (sum === 0) return scalarText(layer, unit, y);
  return windowText(kind, sum, y, core.page_window_size(layer));
}

/** How a unit comes about that is made of the unit in its place before, or of its row. */
function scalarText(layer, unit, y) {
  const { kind, eps } = model.layers[layer];
  const x = floats(core.page_layer_inputs(layer), core.page_width(layer))[unit];
  if (kind === "batch_norm") {
    const [mean, variance, weight, bias] = doubles(core.page_unit_norm(layer, unit), 4);
    return `${normText(x, mean, variance, eps, weight, bias)} = ${four(y)}, with the running mean and variance`;
  }
  return `${FORMULAS[kind] ? FORMULAS[kind](x, model.layers[layer]) : `${words(kind)}(${four(x)})`} = ${four(y)}`;
}

/** What a layer makes of a window, from the sum that the C code writes. */
function windowText(kind, sum, y, size) {
  if (kind === "conv2d") return sumText(sum, "b");
  if (kind === "max_pool2d") return `max(${valuesText(sum)}) = ${four(y)}`;
  return `(${sumTerms(sum, "", false)}) / ${size} = ${four(y)}`;
}

const normText = (x, mean, variance, eps, weight, bias) =>
  `${part(weight)}·(${four(x)} − ${part(mean)}) / √(${four(variance)} + ${eps}) + ${part(bias)}`;
