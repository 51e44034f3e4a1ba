// A walk through a lab as a person would type it: `npm run demo`. Each command is shown before it
// runs; the lab is removed at the end, also when a command fails or the person interrupts.
import { argv, chalk, echo, path, $ } from 'zx';

const LAB = `demo-${process.pid}`;
const CLI = path.join(import.meta.dirname, 'ambient-lab.mjs');

interface Stop {
  readonly why: string;
  readonly args: readonly string[];
}

const WALK: readonly Stop[] = [
  {
    why: 'Two nodes, a ztunnel on each, pods sleep and httpbin in the mesh, legacy outside it.',
    args: ['up', 'topologies/two-nodes.yaml'],
  },
  {
    why: 'A pod resolves names and reaches services as in a cluster.',
    args: ['exec', 'sleep', '--', 'curl', '-s', 'http://httpbin.demo:8000/get'],
  },
  {
    why: 'One request, leg by leg: into ztunnel, over HBONE, out to the app.',
    args: ['trace', 'sleep', 'http://httpbin.demo:8000/get'],
  },
  {
    why: 'Out of the mesh nothing encrypts; the proof says so and exits 1.',
    args: ['prove', 'mtls', 'legacy', 'httpbin'],
  },
  { why: 'A running pod joins the mesh; its app is not restarted.', args: ['enrol', 'legacy'] },
  {
    why: 'The same proof holds now.',
    args: ['prove', 'mtls', 'legacy', 'httpbin'],
  },
  { why: 'What the kernel does to its packets, and why.', args: ['rules', 'legacy'] },
];

$.stdio = ['ignore', 'inherit', 'inherit'];
try {
  for (const stop of WALK) await take(stop);
} finally {
  await $({ nothrow: true })`node ${CLI} down --lab ${LAB}`;
}

async function take({ why, args }: Stop): Promise<void> {
  const [verb = '', ...rest] = args;
  echo(`\n${chalk.bold(why)}\n${chalk.cyan(`$ npm run lab -- ${args.join(' ')}`)}`);
  // Verdicts are exit codes, and a refuted claim is part of the walk.
  await $({ nothrow: true })`node ${CLI} ${verb} --lab ${LAB} ${rest}`;
  if (argv['pause'] === true) await $({ stdio: 'inherit' })`read -r -p ${'Enter goes on '}`;
}
