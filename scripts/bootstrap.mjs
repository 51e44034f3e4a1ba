#!/usr/bin/env node
// First program of every npm script: it runs before anything is installed, so it imports nothing
// but Node. It looks at what the wanted job needs, installs what is missing (saying what and why),
// builds what is stale, and then becomes the job.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { HEADERS, LAB_PROGRAMS, PROGRAMS, TEST_PROGRAMS, WELCOME } from './packages.mjs';
import { fetchEnvoy, wantsEnvoy } from './fetch-envoy.mjs';
import { fetchNode, wantsNode } from './fetch-node.mjs';
import { TestReport } from './test-report.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const CANNOT_RUN = 3;
/** Not for people: what `setUpAlone` starts under its lock. */
const SET_UP = 'set-up';
const OLDEST_NODE = [20, 19];
const SIGNALS = constants.signals;

const JOBS = {
  lab: { programs: LAB_PROGRAMS, run: runLab },
  test: {
    programs: TEST_PROGRAMS,
    welcome: WELCOME,
    run: (args) => runTests(['unit', 'netns', 'e2e', 'machine'], args),
  },
  'test:unit': { programs: TEST_PROGRAMS, run: (args) => runTests(['unit'], args) },
  'test:long': { programs: [...TEST_PROGRAMS, 'haproxy'], run: (args) => runTests(['long'], args) },
  bench: { programs: LAB_PROGRAMS, run: (args) => runLab(['bench', ...args]) },
  'bench:geneve': {
    programs: [...LAB_PROGRAMS, 'nft', 'iperf3', 'ping'],
    run: (args) => become(process.execPath, ['--import=tsx', 'scripts/bench-geneve.ts', ...args]),
  },
  'bench:path': {
    programs: [...LAB_PROGRAMS, 'haproxy', 'openssl'],
    run: (args) => become(process.execPath, ['--import=tsx', 'scripts/bench-path.ts', ...args]),
  },
  'bench:build': {
    programs: [...LAB_PROGRAMS, 'mn', 'brctl', 'python3'],
    run: (args) => become(process.execPath, ['--import=tsx', 'scripts/bench-build.ts', ...args]),
  },
  demo: {
    programs: LAB_PROGRAMS,
    run: (args) => become(process.execPath, ['--import=tsx', 'scripts/demo.ts', ...args]),
  },
  build: { programs: LAB_PROGRAMS, run: () => 0 },
  lint: { programs: LAB_PROGRAMS, run: runLint },
};

/** Failing that is nobody's fault: this machine cannot do it, and here is what would help. */
class CannotRun extends Error {}

try {
  const [name = 'lab', ...args] = process.argv.slice(2);
  const isSetUpOnly = name === SET_UP;
  const job = JOBS[isSetUpOnly ? args[0] : name];
  if (!job)
    throw new CannotRun(`Cannot run "${name}": known jobs are ${Object.keys(JOBS).join(', ')}`);
  checkMachine();
  process.env.PATH = withSystemFolders();
  if (isSetUpOnly) setUp(job.programs, job.welcome ?? {});
  else {
    setUpAlone(name, job);
    process.exitCode = await job.run(args);
  }
} catch (error) {
  if (!(error instanceof CannotRun)) throw error;
  say(error.message);
  process.exitCode = CANNOT_RUN;
}

/**
 * Sets up unless all is there. Two that start at once in one clone would install into each other:
 * the second waits for the lock, which the kernel frees however its holder ends.
 */
function setUpAlone(name, { programs, welcome = {} }) {
  if (isSetUp(programs, welcome)) return;
  if (!onPath('flock')) return setUp(programs, welcome);
  const lock = join(ROOT, 'build', '.set-up.lock');
  mkdirSync(dirname(lock), { recursive: true });
  const act = [process.execPath, fileURLToPath(import.meta.url), SET_UP, name];
  const lockedElsewhere = 75;
  let status = become('flock', ['-o', '-n', '-E', String(lockedElsewhere), lock, ...act]);
  if (status === lockedElsewhere) {
    say('Waiting for another set-up of this clone');
    status = become('flock', ['-o', lock, ...act]);
  }
  if (status !== 0) process.exit(status);
}

function isSetUp(programs, welcome) {
  return (
    missingPackages(programs).size === 0 &&
    missingWelcome(welcome).length === 0 &&
    hasModules() &&
    !nativeIsStale() &&
    !bundleIsStale() &&
    !wantsEnvoy(ROOT) &&
    !wantsNode(ROOT)
  );
}

function setUp(programs, welcome) {
  installPackages(programs);
  installWelcome(welcome);
  installModules();
  step('node', ['scripts/build-native.mjs'], 'compiling the native addon', nativeIsStale);
  step('node', ['scripts/bundle.mjs'], 'bundling the programs', bundleIsStale);
  const lack = wantsEnvoy(ROOT) ? fetchEnvoy(ROOT, say) : undefined;
  if (lack) say(`Envoy cannot be had here, so pods cannot have sidecars: ${lack}`);
  const noNode = wantsNode(ROOT) ? fetchNode(ROOT, say) : undefined;
  if (noNode) say(`No newer Node can be had here; programs of the lab run on this one: ${noNode}`);
}

function checkMachine() {
  if (process.platform !== 'linux') {
    throw new CannotRun(
      `Cannot run on ${process.platform}: the lab is made of Linux network namespaces.\n` +
        'Run it in a Linux machine: `vagrant up && vagrant ssh`, or any Debian or Ubuntu VM.',
    );
  }
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    throw new CannotRun(
      `Cannot run on Node ${process.versions.node}: Node ${OLDEST_NODE.join('.')} or newer is wanted`,
    );
  }
}

function isRoot() {
  return process.getuid?.() === 0;
}

/** Folders that `su` and cron leave out and that hold iptables and nft. */
function withSystemFolders() {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const more = ['/usr/sbin', '/sbin'].filter((folder) => !folders.includes(folder));
  return [...folders, ...more].join(delimiter);
}

function onPath(program) {
  const folders = process.env.PATH.split(delimiter);
  return folders.some((folder) => existsSync(join(folder, program)));
}

function missingPackages(programs) {
  const missing = new Map();
  for (const program of programs) {
    if (!onPath(program)) missing.set(PROGRAMS[program][0], `${program}: ${PROGRAMS[program][1]}`);
  }
  for (const [file, [name, why]] of Object.entries(HEADERS)) {
    if (programs.includes('gcc') && !existsSync(file)) missing.set(name, why);
  }
  return missing;
}

function installPackages(programs) {
  const missing = missingPackages(programs);
  if (missing.size === 0) return;
  const names = [...missing.keys()];
  if (!isRoot())
    throw new CannotRun(
      `Cannot install ${names.join(', ')} as a normal user: run this once as root, for example with sudo`,
    );
  if (!onPath('apt-get'))
    throw new CannotRun(
      `Cannot install ${names.join(', ')}: this machine has no apt-get; install them by hand, then run this again`,
    );
  say(`Installing ${names.length} Debian packages:`);
  for (const [name, why] of missing) say(`  ${name.padEnd(16)} ${why}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  apt(['update', '-q'], env);
  apt(['install', '-q', '-y', '--no-install-recommends', ...names], env);
}

/** None where nothing can be installed anyway. */
function missingWelcome(welcome) {
  if (!isRoot() || !onPath('apt-get')) return [];
  return Object.entries(welcome).filter(([program]) => !onPath(program));
}

function installWelcome(welcome) {
  const missing = missingWelcome(welcome);
  if (missing.length === 0) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // One by one: apt-get installs none of several when it knows one of them not.
  for (const [, [name, why]] of missing) {
    say(`Installing ${name}, for tests that are skipped without: ${why}`);
    try {
      apt(['update', '-q'], env);
      apt(['install', '-q', '-y', '--no-install-recommends', name], env);
    } catch (error) {
      if (!(error instanceof CannotRun)) throw error;
      say(`${name} cannot be had here: those tests will be skipped`);
    }
  }
}

function apt(args, env) {
  // Another clone of this machine may be installing, too.
  const done = spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=600', ...args], {
    env,
    encoding: 'utf8',
  });
  if (done.status !== 0)
    throw new CannotRun(
      `Cannot install packages: apt-get ${args.join(' ')} ended with ${done.status}\n${done.stderr}`,
    );
}

function modulesStamp() {
  return join(ROOT, 'node_modules', '.ambient-lab-lock');
}

function lockDigest() {
  return createHash('sha256')
    .update(readFileSync(join(ROOT, 'package-lock.json')))
    .digest('hex');
}

function hasModules() {
  return existsSync(modulesStamp()) && readFileSync(modulesStamp(), 'utf8') === lockDigest();
}

function installModules() {
  if (hasModules()) return;
  say('Installing the Node modules of package-lock.json (once)');
  const done = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (done.status !== 0)
    throw new CannotRun(
      `Cannot install the Node modules: npm ci ended with ${done.status}\n${done.stderr}`,
    );
  writeFileSync(modulesStamp(), lockDigest());
}

function step(program, args, what, isStale) {
  if (!isStale()) return;
  say(`${what[0].toUpperCase()}${what.slice(1)}`);
  const done = spawnSync(program === 'node' ? process.execPath : program, args, {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (done.status === CANNOT_RUN) throw new CannotRun(done.stderr.trim());
  if (done.status !== 0)
    throw new Error(`${what} failed with ${done.status}\n${done.stdout}${done.stderr}`);
}

function nativeIsStale() {
  return isOlder(join(ROOT, 'build', 'kernel.node'), [
    'dataplane/kernel/native',
    'scripts/build-native.mjs',
  ]);
}

function bundleIsStale() {
  const sources = ['dataplane', 'lab', 'topologies', 'scripts/bundle.mjs', 'package-lock.json'];
  return isOlder(join(ROOT, 'build', 'programs', '.stamp'), sources);
}

function isOlder(product, sources) {
  if (!existsSync(product)) return true;
  const made = statSync(product).mtimeMs;
  return sources.some((source) => newest(join(ROOT, source)) > made);
}

function newest(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return readdirSync(path).reduce(
    (latest, name) => Math.max(latest, newest(join(path, name))),
    stat.mtimeMs,
  );
}

/**
 * Becomes the lab, in this very process: whoever signals or kills us signals or kills the lab, and
 * nobody is left in between. Gives no exit code, since the lab sets its own when it is done.
 */
async function runLab(args) {
  const wanted = args.length > 0 ? args : ['run', join(ROOT, 'topologies', 'two-nodes.yaml')];
  const cli = join(ROOT, 'build', 'programs', 'cli.mjs');
  process.env.AMBIENT_LAB_ROOT = ROOT;
  process.chdir(process.env.INIT_CWD ?? process.cwd());
  process.argv.splice(1, Infinity, cli, ...wanted);
  await import(pathToFileURL(cli).href);
  return process.exitCode;
}

async function runTests(rings, args) {
  if (!isRoot())
    throw new CannotRun(
      'Cannot run the tests as a normal user: they build network namespaces; run them as root, for example with sudo',
    );
  const report = new TestReport((text) => console.log(text));
  let worst = 0;
  for (const ring of rings) {
    const status = await runRing(ring, args, report);
    worst = worst || status;
  }
  report.end();
  // A run that ended badly without a failed assertion (a crash, a time-out) is a failure too.
  const failed = worst !== 0 && report.fail === 0 ? 1 : report.fail;
  const skipped = report.skip > 0 ? `, ${report.skip} skipped` : '';
  console.log(`${report.pass} passed, ${failed} failed${skipped}`);
  return worst;
}

/** Runs one ring's files and gives tap's exit code; the whole TAP stays in `build/test-<ring>.tap`. */
async function runRing(ring, args, report) {
  const folder = join(ROOT, 'test', ring);
  const files = readdirSync(folder).filter(
    (name) =>
      name.endsWith('.test.ts') && (args.length === 0 || args.some((arg) => name.includes(arg))),
  );
  if (files.length === 0) return 0;
  console.log(`\n${ring} tests`);
  // Two beside each other: labs wait more than they compute. Not where the whole machine is looked at.
  const jobs = ring === 'machine' || ring === 'long' ? '1' : '2';
  const timeout = ring === 'long' ? '3600' : '300';
  const tap = ['tap', 'run', '--reporter=tap', `--jobs=${jobs}`, `--timeout=${timeout}`];
  const child = spawn('npx', [...tap, ...files.map((file) => join('test', ring, file))], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
  });
  const exited = once(child, 'exit');
  const log = createWriteStream(join(ROOT, 'build', `test-${ring}.tap`));
  for await (const line of createInterface({ input: child.stdout })) {
    log.write(`${line}\n`);
    report.line(line);
  }
  const [code] = await exited;
  log.end();
  return code ?? 1;
}

function runLint() {
  const types = become('npx', ['tsc', '-p', '.'], { cwd: ROOT });
  return types || become('npx', ['eslint', '.'], { cwd: ROOT });
}

/** Runs a program on our own terminal and gives back its exit code, as a shell would. */
function become(program, args, options = {}) {
  const env = { ...process.env, AMBIENT_LAB_ROOT: ROOT };
  const done = spawnSync(program, args, { cwd: ROOT, stdio: 'inherit', env, ...options });
  if (done.error) throw done.error;
  return done.signal ? 128 + SIGNALS[done.signal] : (done.status ?? 1);
}

/** Chatter goes to stderr: stdout belongs to results. */
function say(text) {
  process.stderr.write(`${text}\n`);
}
