// files.js: data and models from files, and models into files. A file that is damaged changes nothing.

/** The bytes of a file; those of a gzip file, uncompressed. */
async function contents(file) {
  const raw = new Uint8Array(await file.arrayBuffer());
  if (raw.length === 0) throw new Error(`${file.name} is empty`);
  if (raw[0] !== 0x1f || raw[1] !== 0x8b) return raw;
  try {
    return await inflate(raw);
  } catch {
    throw new Error(`${file.name} is a gzip file that is damaged or cut off`);
  }
}

async function inflate(raw) {
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// ---------------------------------------------------------------- data

// What data.c finds wrong, in words; a, b and c are the numbers that belong to it.
const PROBLEMS = {
  1: () => "there is not enough memory",
  2: () => "there are no examples in it",
  3: (a, b) => (b === 1
    ? `the label in line ${many(a)} is not a number; labels are whole numbers from 0 to 999, in the first column`
    : `line ${many(a)}, column ${many(b)} is not a finite number; features are numbers with a decimal point, such as 1.5`),
  4: (a, b, c) => `line ${many(a)} has ${many(b)} columns, and the first line has ${many(c)}`,
  5: () => "each line has one number only; it needs a label and then the features, separated by commas",
  6: (a, b) => `the label of example ${many(a)} is ${b}; labels are whole numbers from 0 to 999, in the first column`,
  7: (a) => `example ${many(a)} has a feature that is infinite or not a number`,
  8: (a, b) => `there are ${many(a)} examples, but ${many(b)} labels; open the files of a data set together`,
};

/** Throw an error for what data.c found wrong with a file. */
function checkData(name, found) {
  if (found >= 100) {
    throw new Error(`${name} is not a whole IDX file (${text(core.page_message(found - 100))}); a CSV file's name must end in .csv`);
  }
  if (found > 0) throw new Error(`${name}: ${PROBLEMS[found](...doubles(core.page_details(), 3))}`);
}

// The names of files of a test set have one of these words, alone: "latest" does not have it.
const isOfTestSet = (name) => /(^|[^a-z])(test|t10k)([^a-z]|$)/i.test(name);

/** The bytes of a text file, with a byte of 0 at their end. */
function asText(data) {
  const ended = new Uint8Array(data.length + 1);
  ended.set(data);
  return ended;
}

/** Take data files, those of a training set and those of a test set. All are loaded before the first is read,
 * so that nothing else is opened in between. */
async function openData(files) {
  const read = [];
  for (const file of files) read.push({ name: file.name, data: await contents(file) });
  core.page_data_begin();
  for (const { name, data } of read) {
    const set = isOfTestSet(name) ? 1 : 0;
    const isText = /\.(csv|txt|tsv)(\.gz)?$/i.test(name);
    const found = lend(isText ? asText(data) : data, (address) =>
      isText ? core.page_read_csv(set, address) : core.page_read_idx(set, address, data.length));
    checkData(name, found);
  }
  acceptData(read.map(({ name }) => name).join(", "));
}

/** Take examples that need no file, and a network that fits them. */
function makeSpirals() {
  checkData("the spirals", core.page_make_spirals());
  acceptData("the spirals");
  chooseChain("dense");
  $("hidden").value = "16 16";
  $("activation").value = "tanh";
  $("batch").value = "8";
  restart();
}

/** Take over the examples that were read. */
function acceptData(name) {
  checkData(name, core.page_data_accept());
  pause();
  forgetRun();
  describeData();
  if (seen !== DRAWING || inputs() !== 784) clearPaper();
  buildExample();
}

function describeData() {
  const [rows, labels] = [core.page_rows(0), core.page_labels(0)];
  const sentences = [];
  if (rows > 0) sentences.push(`${many(rows)} examples to train on: ${core.page_columns(0)} columns, ${core.page_classes(0)} classes`);
  if (rows === 0) sentences.push(`No examples to train on yet${core.page_rows(1) > 0 ? ' (a file with the word "test" in its name is for the test set)' : ""}`);
  if (rows > 0 && labels === 0) sentences.push("their labels are missing: open them too");
  if (core.page_rows(1) > 0) sentences.push(testSentence());
  $("data-state").textContent = `${sentences.join("; ")}.`;
  const isReady = rows > 0 && labels > 0 && core.page_classes(0) > 1;
  if (labels > 0 && core.page_classes(0) < 2) $("data-state").textContent += " All labels are 0: there is nothing to tell apart.";
  $("train").disabled = $("step").disabled = !isReady;
}

function testSentence() {
  const count = `${many(core.page_rows(1))} to test with`;
  if (core.page_labels(1) === 0) return `${count}, without labels`;
  if (core.page_rows(0) > 0 && core.page_columns(1) !== core.page_columns(0)) {
    return `${count} cannot be used (columns: ${core.page_columns(1)}, not ${core.page_columns(0)})`;
  }
  return count;
}

// ---------------------------------------------------------------- models

/** The header of a safetensors file, and the bytes behind it. */
function parseSafetensors(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const length = file.length < 8 ? 0n : view.getBigUint64(0, true);
  if (length < 2n || length > BigInt(file.length - 8)) throw new Error("it is not a safetensors file, or it is cut off");
  const end = 8 + Number(length);
  let header;
  try {
    header = JSON.parse(decoder.decode(file.subarray(8, end)));
  } catch {
    throw new Error("it is not a safetensors file: its header is not JSON");
  }
  return { header: header ?? {}, data: file.subarray(end) };
}

/** The description of the network in the metadata of a model file. */
function parseDescription(metadata) {
  if (metadata?.format !== "pynn") throw new Error("it is a safetensors file, but not a model of pynn");
  if (metadata.format_version !== "1") throw new Error(`its format is version ${metadata.format_version}; this page knows 1`);
  let description;
  try {
    description = JSON.parse(metadata.model);
  } catch {
    description = null;
  }
  if (description === null || typeof description !== "object") {
    throw new Error("the description of its network is damaged");
  }
  checkDescription(description);
  // Seeds have up to 64 bits, more than a number of JavaScript holds.
  description.seed = BigInt(/"seed":\s*(\d+)/.exec(metadata.model)?.[1] ?? 0);
  if (BigInt.asUintN(64, description.seed) !== description.seed) throw new Error(`its seed is ${description.seed}, which has more than 64 bits`);
  description.epochs_trained ??= 0;
  description.steps_trained ??= 0;
  return description;
}

/** Open a model file of pynn. Everything is checked before the network of the page is replaced. */
function openModel(file, from) {
  const { header, data } = parseSafetensors(file);
  const description = parseDescription(header.__metadata__);
  createNew(description);
  const wanted = arrays(description, 1);
  const parameters = bytes(core.page_parameters(1), wanted.at(-1).end);
  const places = []; // of the tensors in the file
  for (const { name, begin, end, shape } of wanted) {
    const tensor = header[name];
    if (!tensor) throw new Error(`the tensor ${name} is missing`);
    const found = `${tensor.dtype} ${JSON.stringify(tensor.shape)}`;
    const needed = `F32 ${JSON.stringify(shape)}`;
    if (found !== needed) throw new Error(`the tensor ${name} is ${found}, and the network needs ${needed}`);
    const [first, last] = tensor.data_offsets ?? [];
    if (!(first >= 0) || last - first !== end - begin || last > data.length) {
      throw new Error(`the file is cut off or damaged at the tensor ${name}`);
    }
    parameters.subarray(begin, end).set(data.subarray(first, last));
    places.push([first, last]);
  }
  places.sort(([first], [other]) => first - other);
  if (places.some(([first], k) => first !== (k > 0 ? places[k - 1][1] : 0)) || places.at(-1)[1] !== data.length) {
    throw new Error("its tensors overlap, or there are bytes between or behind them");
  }
  if (!core.page_is_finite(1)) throw new Error("a parameter is infinite or not a number");
  accept(description, from);
  fillForm(description);
}

/** The metadata's description of the network, as pynn writes it. */
function descriptionText() {
  return JSON.stringify({ ...model, seed: 0 }).replace('"seed":0', `"seed":${model.seed}`);
}

/** The bytes of a model file. */
function modelFile() {
  const header = { __metadata__: { format: "pynn", format_version: "1", model: descriptionText() } };
  const saved = arrays(model, 0);
  for (const { name, begin, end, shape } of saved) {
    header[name] = { dtype: "F32", shape, data_offsets: [begin, end] };
  }
  const words = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(Math.ceil(words.length / 8) * 8).fill(32);
  padded.set(words);
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(padded.length), true);
  return new Blob([length.buffer, padded, bytes(core.page_parameters(0), saved.at(-1).end).slice()]);
}

function save() {
  if (!core.page_is_finite(0)) {
    throw new Error('The model cannot be saved: a parameter is infinite or not a number. "New weights" makes a new one.');
  }
  const link = element("a", { download: "model.safetensors", href: URL.createObjectURL(modelFile()) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function listenToFiles() {
  $("spirals").addEventListener("click", () => attempt(makeSpirals));
  $("data").addEventListener("change", async (event) => {
    await attempt(() => openData(event.target.files));
    event.target.value = ""; // so that the same file can be opened again
  });
  $("open").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    await attempt(async () => {
      const data = await contents(file);
      try {
        openModel(data, "file");
      } catch (error) {
        throw new Error(`${file.name} was not opened: ${error.message}`);
      }
    });
    event.target.value = "";
  });
  $("save").addEventListener("click", () => attempt(save));
}
