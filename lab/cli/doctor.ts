import type { Command } from 'commander';
import Table from 'cli-table3';
import { isRequired, probeMachine, type Capability } from '../hosts/capabilities.ts';
import { EXIT } from './exit.ts';
import { paint } from './output.ts';
import { type CommandContext, requireRoot } from './context.ts';

/** `doctor`: what this machine can do, tried and not assumed. */
export function addDoctor(program: Command, context: CommandContext): void {
  program
    .command('doctor')
    .summary('what this machine can do')
    .description(
      'Tries everything a lab needs, each in a namespace that ends with the trial, and says what is\n' +
        'missing, what for, and how to get it. Exit code 3 when something the default era needs is missing.',
    )
    .option('--era <era>', 'judge by what this era needs', 'inpod-redirect')
    .option('--json', 'one JSON value on stdout')
    .addHelpText('after', '\nExample:\n  npm run lab -- doctor --era inpod-tproxy')
    .action(async (options: { era: string; json?: boolean }) => {
      requireRoot('doctor');
      const output = context.output(options.json === true);
      const found = await probeMachine();
      const missing = found.filter((c) => !c.present && isRequired(c.required, options.era));
      output.result({ era: options.era, runs: missing.length === 0, capabilities: found }, () =>
        render(found, options.era, missing, output.color),
      );
      process.exitCode = missing.length === 0 ? EXIT.held : EXIT.cannotRun;
    });
}

function render(
  found: readonly Capability[],
  era: string,
  missing: readonly Capability[],
  color: boolean,
): string {
  const table = new Table({ head: ['what', 'state', 'needed for', 'seen'], style: { head: [] } });
  for (const c of found) {
    const isNeeded = isRequired(c.required, era);
    const state = c.present ? 'present' : isNeeded ? 'MISSING' : 'absent';
    const style = c.present ? 'green' : isNeeded ? 'red' : 'yellow';
    table.push([c.name, paint(color, style, state), c.neededFor, c.evidence]);
  }
  const advice = missing.map((c) => `${c.name} is missing: ${c.howToGet}`);
  const verdict =
    missing.length === 0
      ? `Era ${era} runs here.`
      : `Era ${era} cannot run here.\n${advice.join('\n')}`;
  return `${table.toString()}\n${verdict}`;
}
