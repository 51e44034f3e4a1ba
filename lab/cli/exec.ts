import type { Command } from 'commander';
import { type CommandContext, requireRoot } from './context.ts';
import { findLab } from './world.ts';

interface ExecOptions {
  readonly lab?: string;
  readonly user?: string;
}

/** `exec`: run a program in a pod, on a node, or outside; its exit code is ours. */
export function addExec(program: Command, context: CommandContext): void {
  program
    .command('exec')
    .summary('run a program in a pod, on a node, or outside')
    .description(
      'Runs a program of this machine in the namespaces of a pod (with its resolv.conf), of a node,\n' +
        'of `outside`, or of `ztunnel-<node>`. Its exit code is ours; 125 to 127 are our own faults.',
    )
    .argument('<target>', 'sleep, demo/sleep, node1, outside, ztunnel-node1')
    .argument('<command...>', 'program and arguments, after --')
    .option('--lab <name>', 'which lab, when several run')
    .option('--user <uid>', 'numeric user id to run as')
    .addHelpText(
      'after',
      '\nExample:\n  npm run lab -- exec sleep -- curl -s http://httpbin.demo:8000/get',
    )
    .action(async (target: string, command: string[], options: ExecOptions) => {
      requireRoot('exec');
      await using lab = await findLab(options.lab);
      const user = options.user === undefined ? undefined : Number(options.user);
      process.exitCode = await lab.exec(target, command, {
        stdio: 'inherit',
        user,
        signal: context.signal,
      });
    });
}
