import { existsSync } from 'node:fs';
import { builtFile } from './built-file.ts';
import type { Capability } from './capabilities.ts';
import { runProgram } from './run.ts';

/** Variable that chooses: the path of a Node, or `own` for the one that runs this. */
export const NODE_VARIABLE = 'AMBIENT_LAB_NODE';

/**
 * The Node that our programs run on: the one that `AMBIENT_LAB_NODE` names, else the one that set-up
 * fetched into `build/node`, else the one that runs this. Nothing is fetched here.
 */
export function programNode(env: NodeJS.ProcessEnv = process.env): string {
  const named = env[NODE_VARIABLE];
  if (named === 'own') return process.execPath;
  if (named !== undefined && named !== '') return named;
  const fetched = builtFile('node', 'node');
  return existsSync(fetched) ? fetched : process.execPath;
}

/** Which Node the programs run on, and how to get the one that set-up fetches. */
export async function nodeCapability(): Promise<Capability> {
  const path = programNode();
  const asked = await runProgram([path, '--version'], { timeoutMs: 20_000 });
  const isOwn = path === process.execPath;
  const origin = isOwn ? "the machine's own; the programs start and run faster on a newer one" : '';
  return {
    name: 'Node of the programs',
    present: asked.exitCode === 0,
    evidence: [asked.stdout.trim() || asked.stderr.trim(), path, origin].filter(Boolean).join(', '),
    neededFor: 'ztunnel, agents, apps and recorders',
    required: 'always',
    howToGet:
      `set-up (\`npm run lab\`) fetches one from the npm registry; the variable ${NODE_VARIABLE} names ` +
      'another, or `own`',
  };
}
