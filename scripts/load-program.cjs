// Starts a bundled program from what V8 made of it before: reading and compiling is most of what
// starting costs, and a lab starts three programs a node. The bundler puts this beside the programs.
'use strict';

const { isAscii } = require('node:buffer');
const { readFileSync, renameSync, rmSync, writeFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { join } = require('node:path');
const { cachedDataVersionTag } = require('node:v8');
const { constants, Script } = require('node:vm');

/** A program that has run so long has started: what it compiled until then is what the next needs. */
const STARTED_MS = 2_000;
/** One that has ended sooner than this (`--help`, a bad option) has compiled too little. */
const SHORTEST_S = 1;

/**
 * Runs the code of a program and gives its exports. What V8 compiled is kept beside it, for each
 * version of V8, its flags and processor; where nothing can be written, it is compiled each time.
 *
 * @param moduleUrl URL of the program as it was started: its `import.meta.url`.
 * @param name File beside this one; another content has another name.
 */
module.exports = function loadProgram(moduleUrl, name) {
  const file = join(__dirname, name);
  const tag = cachedDataVersionTag();
  const kept = `${file}.${tag}.v8`;
  const source = `(function (exports, require, module, __filename, __dirname, __moduleUrl) {\n${readText(file)}\n})`;
  const script = new Script(source, {
    filename: file,
    lineOffset: -1,
    cachedData: read(kept),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  if (script.cachedDataRejected !== false) keepLater(script, kept, tag);
  const module = { exports: {} };
  const run = script.runInThisContext();
  run(module.exports, createRequire(moduleUrl), module, file, __dirname, moduleUrl);
  return module.exports;
};

/** ASCII, as bundles are but for their tagged templates, is one byte a character to V8 as it stands. */
function readText(file) {
  const bytes = readFileSync(file);
  return bytes.toString(isAscii(bytes) ? 'latin1' : 'utf8');
}

function read(path) {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

/** Once, when the program has started or ends; not when it has set flags of V8 meanwhile. */
function keepLater(script, path, tag) {
  const keep = () => {
    clearTimeout(timer);
    process.off('exit', keep);
    if (process.uptime() < SHORTEST_S || cachedDataVersionTag() !== tag) return;
    const fresh = `${path}.${process.pid}`;
    try {
      writeFileSync(fresh, script.createCachedData());
      renameSync(fresh, path);
    } catch {
      rmSync(fresh, { force: true });
    }
  };
  const timer = setTimeout(keep, STARTED_MS).unref();
  process.on('exit', keep);
}
