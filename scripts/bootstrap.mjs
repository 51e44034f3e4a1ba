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
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import {
  HEADERS,
  LAB_PROGRAMS,
  MASKED,
  PROGRAMS,
  TEST_PROGRAMS,
  VM_PROGRAMS,
  WELCOME,
} from './packages.mjs';
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
  // A verb that runs on another machine: this one may be no Linux, and nobody need be root on it.
  on: { programs: [], isElsewhere: true, run: runOn },
  test: {
    programs: TEST_PROGRAMS,
    welcome: WELCOME,
    run: (args) => runTests(['unit', 'netns', 'e2e', 'machine'], args),
  },
  'test:unit': { programs: TEST_PROGRAMS, run: (args) => runTests(['unit'], args) },
  'test:long': {
    programs: [...TEST_PROGRAMS, 'haproxy', 'wrk', 'hey'],
    run: (args) => runTests(['long'], args),
  },
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
  vm: {
    programs: [...LAB_PROGRAMS, ...VM_PROGRAMS],
    run: (args) => become(process.execPath, ['--import=tsx', 'scripts/vm.ts', ...args]),
  },
  build: { programs: LAB_PROGRAMS, run: () => 0 },
  lint: { programs: LAB_PROGRAMS, run: runLint },
};

/** Failing that is nobody's fault: this machine cannot do it, and here is what would help. */
class CannotRun extends Error {}

try {
  const [wanted = 'lab', ...args] = process.argv.slice(2);
  const isSetUpOnly = wanted === SET_UP;
  const name = wanted === 'lab' && goesElsewhere(args) ? 'on' : wanted;
  const job = JOBS[isSetUpOnly ? args[0] : name];
  if (!job)
    throw new CannotRun(`Cannot run "${name}": known jobs are ${Object.keys(JOBS).join(', ')}`);
  if (!job.isElsewhere) checkSystem();
  checkNode();
  process.env.PATH = withSystemFolders();
  if (isSetUpOnly) setUp(job);
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
function setUpAlone(name, job) {
  if (isSetUp(job)) return;
  if (!onPath('flock')) return setUp(job);
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

function isSetUp({ programs, welcome = {}, isElsewhere = false }) {
  if (!hasModules() || bundleIsStale()) return false;
  if (isElsewhere) return true;
  return (
    missingPackages(programs).size === 0 &&
    missingWelcome(welcome).length === 0 &&
    !nativeIsStale() &&
    !wantsEnvoy(ROOT) &&
    !wantsNode(ROOT)
  );
}

function setUp({ programs, welcome = {}, isElsewhere = false }) {
  installPackages(programs);
  installWelcome(welcome);
  installModules();
  if (!isElsewhere) {
    step('node', ['scripts/build-native.mjs'], 'compiling the native addon', nativeIsStale);
  }
  step('node', ['scripts/bundle.mjs'], 'bundling the programs', bundleIsStale);
  if (isElsewhere) return;
  const lack = wantsEnvoy(ROOT) ? fetchEnvoy(ROOT, say) : undefined;
  if (lack) say(`Envoy cannot be had here, so pods cannot have sidecars: ${lack}`);
  const noNode = wantsNode(ROOT) ? fetchNode(ROOT, say) : undefined;
  if (noNode) say(`No newer Node can be had here; programs of the lab run on this one: ${noNode}`);
}

/**
 * Whether another machine is meant: the one that `--on` names, or, where no lab can run, the one that
 * Vagrant has made of this clone.
 */
function goesElsewhere(args) {
  const end = args.indexOf('--');
  const own = end < 0 ? args : args.slice(0, end);
  if (own.some((arg) => arg === '--on' || arg.startsWith('--on='))) return true;
  const why = whyNoLabHere();
  if (why === undefined || !hasVagrantMachine()) return false;
  process.env.AMBIENT_LAB_NOT_HERE = why;
  return true;
}

function whyNoLabHere() {
  if (process.platform !== 'linux') return `No lab can run on ${process.platform}`;
  return isRoot() ? undefined : 'No lab can run without root';
}

/** `vagrant up` leaves `.vagrant/machines/<machine>/<provider>/id`, `vagrant destroy` takes it away. */
function hasVagrantMachine() {
  const machines = join(ROOT, '.vagrant', 'machines');
  const below = (folder) =>
    existsSync(folder) && statSync(folder).isDirectory() ? readdirSync(folder) : [];
  return below(machines).some((machine) =>
    below(join(machines, machine)).some((provider) =>
      existsSync(join(machines, machine, provider, 'id')),
    ),
  );
}

function checkSystem() {
  if (process.platform === 'linux') return;
  throw new CannotRun(
    `Cannot run on ${process.platform}: the lab is made of Linux network namespaces.\n` +
      'Run it in a Linux machine: `vagrant up`, then the same again, or `--on [user@]host` for any Debian or Ubuntu.',
  );
}

function checkNode() {
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
  for (const name of names) for (const unit of MASKED[name] ?? []) mask(unit);
  apt(['install', '-q', '-y', '--no-install-recommends', ...names], env);
}

/** systemd.unit(5): a link to /dev/null; one that is there already is the machine's own decision. */
function mask(unit) {
  const folder = '/etc/systemd/system';
  mkdirSync(folder, { recursive: true });
  if (existsSync(join(folder, unit))) return;
  symlinkSync('/dev/null', join(folder, unit));
  say(`Masked ${unit}: it is not to run because of our tests (to undo: systemctl unmask ${unit})`);
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
  const sources = [
    'dataplane',
    'lab',
    'topologies',
    'scripts/bundle.mjs',
    'scripts/load-program.cjs',
    'package-lock.json',
  ];
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
  return becomeProgram('cli', wanted);
}

/** The same with the program that only sends. Over there, no verb means what it means here. */
async function runOn(args) {
  return becomeProgram('on', args);
}

async function becomeProgram(name, args) {
  const program = join(ROOT, 'build', 'programs', `${name}.mjs`);
  process.env.AMBIENT_LAB_ROOT = ROOT;
  process.chdir(process.env.INIT_CWD ?? process.cwd());
  process.argv.splice(1, Infinity, program, ...args);
  await import(pathToFileURL(program).href);
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
