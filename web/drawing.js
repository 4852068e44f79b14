// drawing.js: the paper, the pen, and the examples that can be looked at in place of a drawing.

const paper = $("paper");
let last = null; // where the pen was
let held = null; // the number of the pointer that draws: one at a time
let side = 1; // of the paper, as it is shown
const NOTHING = 0, DRAWING = 1, EXAMPLE = 2;
let seen = NOTHING; // what the network looks at

/** Draw a line to a place, read the digit, and show what the network makes of it. */
function drawTo(x, y) {
  const from = last ?? { x, y };
  core.page_ink_stroke(side, from.x, from.y, x, y);
  last = { x, y };
  const start = performance.now();
  core.page_digit_from_ink();
  seen = DRAWING;
  $("example-state").textContent = "";
  refreshDigit();
  const milliseconds = performance.now() - start;
  $("time").textContent = `Cut out, centred, read and shown in ${milliseconds.toFixed(1)} ms.`;
  $("time").dataset.milliseconds = milliseconds;
}

function clearPaper() {
  core.page_ink_clear();
  last = null;
  seen = NOTHING;
  $("time").textContent = "";
  $("example-state").textContent = "";
  refreshDigit();
}

function listenToPen() {
  paper.addEventListener("pointerdown", (event) => {
    if (held !== null || event.button !== 0) return;
    held = event.pointerId;
    paper.setPointerCapture(held);
    side = paper.clientWidth;
    last = null;
    drawTo(event.offsetX, event.offsetY);
  });
  paper.addEventListener("pointermove", (event) => {
    if (event.pointerId !== held) return;
    drawTo(event.offsetX, event.offsetY);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    paper.addEventListener(end, (event) => {
      if (event.pointerId === held) last = held = null;
    });
  }
  $("clear").addEventListener("click", clearPaper);
}

/** By keyboard: a pen that the arrow keys move, over a paper of 32 steps each way. */
function listenToKeys() {
  const STEPS = 32;
  const pen = { x: STEPS / 2, y: STEPS / 2, isDown: false };
  const inside = (place) => Math.min(Math.max(place, 0), STEPS);

  function press(key) {
    last = { x: pen.x, y: pen.y };
    if (key === " ") pen.isDown = !pen.isDown;
    else if (MOVES[key]) {
      pen.x = inside(pen.x + MOVES[key][0]);
      pen.y = inside(pen.y + MOVES[key][1]);
    } else clearPaper();
    side = STEPS;
    if (pen.isDown && key !== "Delete" && key !== "Backspace") drawTo(pen.x, pen.y);
  }

  function showPen() {
    $("pen").hidden = document.activeElement !== paper;
    $("pen").classList.toggle("down", pen.isDown);
    $("pen").style.left = `${(100 * pen.x) / STEPS}%`;
    $("pen").style.top = `${(100 * pen.y) / STEPS}%`;
  }

  paper.addEventListener("keydown", (event) => {
    if (!MOVES[event.key] && ![" ", "Delete", "Backspace"].includes(event.key)) return;
    event.preventDefault();
    press(event.key);
    showPen();
  });
  paper.addEventListener("blur", () => ($("pen").hidden = true));
}

// ---------------------------------------------------------------- examples

/** Offer the examples of the data, where they fit the network. */
function buildExample() {
  const usable = [0, 1].filter((set) => core.page_usable(set));
  $("example").hidden = usable.length === 0;
  $("example-set").replaceChildren(
    ...usable.map((set) => element("option", { value: set }, set === 0 ? "training" : "test")),
  );
  $("example-state").textContent = "";
  $("example-row").value = 1;
  if (inputs() !== 784 && usable.length > 0) showExample();
}

function showExample() {
  const set = Number($("example-set").value);
  const row = numberOf("example-row", 1, core.page_rows(set), true);
  const label = core.page_show_example(set, row - 1);
  seen = EXAMPLE;
  $("time").textContent = "";
  $("example-state").textContent = `Its label is ${label}.`;
  refreshDigit();
}

function listenToExamples() {
  const choose = () => attempt(showExample);
  $("example-row").addEventListener("change", choose);
  $("example-set").addEventListener("change", choose);
  $("example-show").addEventListener("click", choose);
  $("example-next").addEventListener("click", () => {
    const row = Number($("example-row").value);
    $("example-row").value = row < core.page_rows(Number($("example-set").value)) ? row + 1 : 1;
    choose();
  });
}
