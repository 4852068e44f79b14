// page.js: the start.

/** What the build put into the page: gzip, as base64. */
async function embedded(id) {
  const raw = Uint8Array.from(atob($(id).textContent.trim()), (letter) => letter.charCodeAt(0));
  return inflate(raw);
}

/** Paint in the colours of dark or light mode, and again when it changes. */
function listenToTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  core.page_theme(dark.matches);
  dark.addEventListener("change", () => {
    core.page_theme(dark.matches);
    refresh();
    document.querySelectorAll("#explained details[open] figure").forEach((figure) => figure.refresh());
  });
}

/** The model file of the network that the page starts with. Its weights are bytes in the page. */
function unpack(packed) {
  const begin = 8 + Number(new DataView(packed.buffer).getBigUint64(0, true));
  const count = packed.length - begin;
  const file = new Uint8Array(begin + 4 * count);
  file.set(packed.subarray(0, begin));
  lend(packed.subarray(begin), (from) => lend(file.subarray(begin), (to) => {
    core.page_unpack(from, count, to);
    file.set(bytes(to, 4 * count), begin);
  }));
  return file;
}

/** Open the network that the page starts with; the form suggests a smaller one to train. */
function openDigits(digits) {
  openModel(digits, "page");
  $("hidden").value = "64";
  $("batch").value = "64";
}

/** Draw and read a little, out of sight: the first time takes longer, because the browser compiles the code. */
function warmUp() {
  for (let k = 0; k < 4; k++) drawTo(0.5, k);
  clearPaper();
}

async function start() {
  const { instance } = await WebAssembly.instantiate(await embedded("core"));
  core = instance.exports;
  core._initialize();
  marks = JSON.parse(decoder.decode(await embedded("marks")));
  $("version").textContent = text(core.page_version());
  listenToTheme();
  const digits = unpack(await embedded("digits"));
  openDigits(digits);
  warmUp();
  listenToPen();
  listenToKeys();
  listenToExamples();
  listenToTraining();
  listenToFiles();
  $("again").addEventListener("click", () => attempt(() => openDigits(digits)));
  $("error").addEventListener("click", dismiss);
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  $("error").textContent = `This browser cannot run the page (${error.message}). It needs WebAssembly with SIMD.`;
});
