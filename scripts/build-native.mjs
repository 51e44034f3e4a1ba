// Compiles dataplane/kernel/native/*.c into build/kernel.node with gcc and the headers of
// node-api-headers, and preload/batch_tap.c beside it: no node-gyp, no download. Does nothing when
// no source is newer.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const EXIT_CANNOT_RUN_HERE = 3;
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const SOURCES = join(ROOT, 'dataplane', 'kernel', 'native');
const OUT = join(ROOT, 'build', 'kernel.node');
const TAP_SOURCE = join(SOURCES, 'preload', 'batch_tap.c');
const TAP_OUT = join(ROOT, 'build', 'batch-tap.so');

const files = readdirSync(SOURCES).map((name) => join(SOURCES, name));
if (process.argv.includes('--force') || isStale()) {
  // The addon last: it is the one whose age is looked at.
  compile(TAP_OUT, [TAP_SOURCE], []);
  compile(OUT, files.filter((path) => path.endsWith('.c')).sort(), addonFlags());
}

function isStale() {
  if (!existsSync(OUT) || !existsSync(TAP_OUT)) return true;
  const builtMs = statSync(OUT).mtimeMs;
  return [...files, SOURCES, TAP_SOURCE, fileURLToPath(import.meta.url)].some(
    (path) => statSync(path).mtimeMs > builtMs,
  );
}

function addonFlags() {
  const flags = ['-fvisibility=hidden', '-pthread', '-I', headers()];
  return files.some((path) => path.endsWith('/engine.c')) ? [...flags, '-DHAVE_ENGINE'] : flags;
}

function compile(out, units, flags) {
  mkdirSync(dirname(out), { recursive: true });
  // A name of its own and a rename: processes that run keep the file they have mapped.
  const fresh = `${out}.${process.pid}`;
  const args = ['-O2', '-g1', '-std=gnu11', '-Wall', '-Wextra', '-Werror=implicit', '-shared'];
  try {
    execFileSync('gcc', [...args, '-fPIC', ...flags, '-o', fresh, ...units], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    renameSync(fresh, out);
  } catch (error) {
    rmSync(fresh, { force: true });
    if (error.code === 'ENOENT') {
      fail(
        'Cannot compile the native addon: no gcc on PATH, install it: apt-get install gcc libc6-dev',
      );
    }
    fail(`Cannot compile the native addon: gcc ended with status ${error.status}`);
  }
}

function headers() {
  try {
    return createRequire(import.meta.url)('node-api-headers').include_dir;
  } catch {
    return fail('Cannot compile the native addon: no package node-api-headers, run npm ci first');
  }
}

function fail(message) {
  console.error(message);
  process.exit(EXIT_CANNOT_RUN_HERE);
}
