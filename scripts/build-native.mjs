// Compiles dataplane/kernel/native/*.c into build/kernel.node with gcc and the headers of
// node-api-headers: no node-gyp, no download. Does nothing when no source is newer.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const EXIT_CANNOT_RUN_HERE = 3;
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const SOURCES = join(ROOT, 'dataplane', 'kernel', 'native');
const OUT = join(ROOT, 'build', 'kernel.node');

const files = readdirSync(SOURCES).map((name) => join(SOURCES, name));
if (process.argv.includes('--force') || isStale()) compile();

function isStale() {
  if (!existsSync(OUT)) return true;
  const builtMs = statSync(OUT).mtimeMs;
  return [...files, SOURCES, fileURLToPath(import.meta.url)].some(
    (path) => statSync(path).mtimeMs > builtMs,
  );
}

function compile() {
  mkdirSync(dirname(OUT), { recursive: true });
  // A name of its own and a rename: processes that run keep the file they have mapped.
  const fresh = `${OUT}.${process.pid}`;
  const units = files.filter((path) => path.endsWith('.c')).sort();
  const args = ['-O2', '-g1', '-std=gnu11', '-Wall', '-Wextra', '-Werror=implicit', '-shared'];
  args.push('-fPIC', '-fvisibility=hidden', '-pthread', '-I', headers());
  if (units.some((path) => path.endsWith('/engine.c'))) args.push('-DHAVE_ENGINE');
  try {
    execFileSync('gcc', [...args, '-o', fresh, ...units], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    renameSync(fresh, OUT);
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
