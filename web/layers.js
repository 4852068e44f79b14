// layers.js: the probabilities, the layers, and one unit written out.

const MOST_BARS = 24; // of so many classes the first are shown
const MOST_SHOWN = 1024; // units of a layer, likewise
let bars = []; // for each class its row, and the text of its probability
let layers = []; // for each layer the buttons of its units
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
  const isPicture = model.input === 784 && model.layers[0].kind === "dense";
  $("tiles-figure").hidden = !isPicture;
  if (!isPicture) return;
  const count = Math.min(core.page_width(0), 256);
  const across = Math.ceil(Math.sqrt(count));
  const pixels = (tiles) => 29 * tiles - 1;
  show($("tiles"), core.page_paint_tiles(count, across), pixels(across), pixels(Math.ceil(count / across)));
}

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
  layers.forEach((units, layer) => colour(units, core.page_paint_outputs(layer)));
  if (chosen) showUnit();
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
    const width = core.page_width(layer);
    const units = element("div", { class: "units", role: "group", "aria-label": `${names[layer]}, ${width} units` });
    const buttons = Array.from({ length: Math.min(width, MOST_SHOWN) }, (_, unit) => {
      const button = element("button", {
        type: "button", tabindex: unit === 0 ? 0 : -1, "aria-label": `unit ${unit}`, "aria-pressed": "false",
      });
      button.addEventListener("click", () => choose(layer, unit));
      return button;
    });
    units.style.setProperty("--across", Math.min(Math.ceil(Math.sqrt(width)), 32));
    units.append(...buttons);
    units.addEventListener("keydown", moveAmongUnits);
    const size = width > MOST_SHOWN ? `${many(MOST_SHOWN)} of ${many(width)}` : width;
    boxes.push(element("li", { class: "layer" }, element("h3", {}, `${words(kind)} `, element("span", {}, size)), units));
    return buttons;
  });
  $("layers").replaceChildren(...boxes);
  choose(0, 0);
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
  $("unit-title").textContent = `${layerNames(model)[layer]}, unit ${unit}`;
  $("unit-weights").hidden = kind !== "dense";
  if (kind === "dense") {
    const before = layer > 0 ? core.page_width(layer - 1) : model.input;
    const isPicture = before === 784;
    show($("unit-weights"), core.page_paint_unit(layer, unit), isPicture ? 28 : before, isPicture ? 28 : 1);
    $("unit-weights").classList.toggle("picture", isPicture);
    $("unit-sum").textContent = `y${unit} = ${sumText(core.page_unit_sum(layer, unit), "b")}`;
  } else {
    const x = floats(core.page_layer_inputs(layer), core.page_width(layer))[unit];
    const y = floats(core.page_outputs(layer), core.page_width(layer))[unit];
    $("unit-sum").textContent = `y${unit} = ${FORMULAS[kind] ? FORMULAS[kind](x, model.layers[layer]) : `${words(kind)}(${four(x)})`} = ${four(y)}`;
  }
  const isSparse = kind === "dense" && layer === 0 && core.page_look_is_sparse() === 1;
  $("unit-mark").replaceChildren(markLine(`${kind}.${isSparse ? "sparse" : ""}Y`));
}
