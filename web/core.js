// core.js: the way to the C code, and to the elements of the page.
//
// The numbers of the network are computed in C (page.h); these scripts show them, and count and measure for
// the layout. build.py puts all scripts into the page, one after the other.
"use strict";

const $ = (id) => document.getElementById(id);
const decoder = new TextDecoder();
const OUT_OF_MEMORY = 1, NOT_FINITE = 30; // of pynn_status
let core; // the functions of the C files
let marks = {}; // the equations in the C sources, and where they are

// ---------------------------------------------------------------- the memory of the C code

// An address above 2 GiB comes from WebAssembly as a negative number; >>> makes it one without a sign.
const bytes = (address, count) => new Uint8Array(core.memory.buffer, address >>> 0, count);
const floats = (address, count) => new Float32Array(core.memory.buffer, address >>> 0, count);
const doubles = (address, count) => new Float64Array(core.memory.buffer, address >>> 0, count);

/** Numbers of the C code that say first how many they are. */
function counted(address) {
  const [count, ...numbers] = new Uint32Array(core.memory.buffer, address >>> 0, 5);
  return numbers.slice(0, count);
}

/** The text at an address, which ends in a byte of 0. */
function text(address) {
  const all = new Uint8Array(core.memory.buffer, address >>> 0);
  return decoder.decode(all.subarray(0, all.indexOf(0)));
}

/** Call use(address) with a copy of an array of bytes in the memory of the C code. */
function lend(array, use) {
  const address = core.page_allocate(array.length);
  if (address === 0) throw new Error("there is not enough memory for this file");
  bytes(address, array.length).set(array);
  try {
    return use(address);
  } finally {
    core.page_release(address);
  }
}

/** Throw an error for a status that is not 0, with the C code's own words. */
function check(what, status) {
  if (status === NOT_FINITE) {
    throw new Error(
      `${what}: a loss or a parameter is infinite or not a number. Choose a smaller rate, or scale the data, and then press "New weights".`,
    );
  }
  if (status === OUT_OF_MEMORY) {
    throw new Error(`${what}: it needs more memory than this page has. Choose fewer units or a smaller batch.`);
  }
  if (status !== 0) throw new Error(`${what}: ${text(core.page_message(status))}`);
}

/** Hide the last error. */
const dismiss = () => ($("error").textContent = "");

/** Do what the user asks for: the last error goes. Returns whether it went well; if not, the error is shown. */
function attempt(work) {
  dismiss();
  return showErrors(work);
}

/** Run a function, and show its error; one that is there stays otherwise. Returns whether it went well. */
async function showErrors(work) {
  try {
    await work();
    return true;
  } catch (error) {
    $("error").textContent = error.message;
    return false;
  }
}

// ---------------------------------------------------------------- elements

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Make an element with attributes and children. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Show a picture of the C code: four bytes for each pixel. */
function show(canvas, address, width, height) {
  if (address === 0) return;
  canvas.width = width;
  canvas.height = height;
  const pixels = new ImageData(width, height);
  pixels.data.set(bytes(address, pixels.data.length));
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

/** The equation of a mark, with the file and the line of C that computes it. */
function markLine(name) {
  const mark = marks[name];
  if (!mark) throw new Error(`the C sources have no equation of the name ${name}`);
  return element("p", { class: "mark" }, element("b", {}, mark.equation),
    element("span", {}, `${mark.file}, line ${mark.line}`), element("code", {}, mark.code));
}

// ---------------------------------------------------------------- numbers as text

const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
const many = (count) => count.toLocaleString("en");
const minus = (digits) => digits.replaceAll("-", "−");

/** A number with four digits. */
function four(x) {
  const short = Number(x.toPrecision(4));
  return minus(Math.abs(short) < 1e-4 && short !== 0 ? short.toExponential() : String(short));
}

/** A number with seven digits, all that a float has. */
const seven = (x) => minus(String(Number(x.toPrecision(7))));

/** A number as a factor or a term: a negative one in parentheses. */
const part = (x) => (x < 0 ? `(${four(x)})` : four(x));

/** The terms of a sum of products as the C code writes it (write_sum): the largest, the rest, and the bias. */
function sumTerms(address, bias, ofProducts = true) {
  const numbers = floats(address, 36);
  const [rest, added] = numbers;
  const sum = [];
  for (let k = 3; k < 35; k += 4) {
    const [i, a, b] = numbers.subarray(k);
    if (i >= 0) sum.push(ofProducts ? `${part(a)}·${part(b)}` : part(a));
  }
  if (sum.length === 8 && numbers[35] > 8) sum.push(`${part(rest)} (the other terms)`);
  if (sum.length === 0) sum.push("0");
  if (bias) sum.push(`${part(added)} (${bias})`);
  return sum.join(" + ");
}

const sumText = (address, ...how) => `${sumTerms(address, ...how)} = ${four(floats(address, 3)[2])}`;

/** The values of a window, the largest ones first; those that the C code does not list are 0. */
function valuesText(address) {
  const numbers = floats(address, 36);
  const found = [];
  for (let k = 3; k < 35; k += 4) if (numbers[k] >= 0) found.push(four(numbers[k + 1]));
  if (numbers[35] > found.length) found.push(found.length === 8 ? "…" : "0");
  return found.join(", ");
}
