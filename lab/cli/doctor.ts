import { Option, type Command } from 'commander';
import Table from 'cli-table3';
import { CNI_NAMES, DEFAULT_CNI_NAME } from '../../topologies/cni.ts';
import { DEFAULT_ERA_NAME, ERA_NAMES } from '../../topologies/era.ts';
import { isRequired, probeMachine, type Capability } from '../hosts/capabilities.ts';
import { EXIT } from './exit.ts';
import { paint } from './output.ts';
import { type CommandContext, requireRoot } from './context.ts';

interface DoctorOptions {
  readonly era: string;
  readonly cni: string;
  readonly json?: boolean;
}

const ELSEWHERE =
  'Another machine may: npm run lab -- --on [user@]host doctor, or `vagrant up` and --on vagrant:';

/** `doctor`: what this machine can do, tried and not assumed. */
export function addDoctor(program: Command, context: CommandContext): void {
  program
    .command('doctor')
    .summary('what this machine can do')
    .description(
      'Tries everything a lab needs, each in a namespace that ends with the trial, and says what is\n' +
        'missing, what for, and how to get it. Exit code 3 when something the default era needs is missing.',
    )
    .addOption(
      new Option('--era <era>', 'judge by what this era needs')
        .choices([...ERA_NAMES])
        .default(DEFAULT_ERA_NAME),
    )
    .addOption(
      new Option('--cni <flavour>', 'and by what this primary CNI needs')
        .choices([...CNI_NAMES])
        .default(DEFAULT_CNI_NAME),
    )
    .option('--json', 'one JSON value on stdout')
    .addHelpText('after', '\nExample:\n  npm run lab -- doctor --era inpod-tproxy')
    .action(async (options: DoctorOptions) => {
      requireRoot('doctor');
      const output = context.output(options.json === true);
      const found = await probeMachine();
      const needs = [options.era, `cni ${options.cni}`];
      const missing = found.filter((c) => !c.present && isNeeded(c, needs));
      output.result(
        { era: options.era, cni: options.cni, runs: missing.length === 0, capabilities: found },
        () => render(found, needs, missing, output.color),
      );
      process.exitCode = missing.length === 0 ? EXIT.held : EXIT.cannotRun;
    });
}

function render(
  found: readonly Capability[],
  needs: readonly string[],
  missing: readonly Capability[],
  color: boolean,
): string {
  const table = new Table({
    head: ['what', 'state', 'needed for', 'seen'],
    style: { head: [], border: [], compact: true },
    colWidths: columnWidths(process.stdout.columns ?? USUAL_COLUMNS),
    wordWrap: true,
  });
  for (const c of found) {
    const isMissed = isNeeded(c, needs);
    const state = c.present ? 'present' : isMissed ? 'MISSING' : 'absent';
    const style = c.present ? 'green' : isMissed ? 'red' : 'yellow';
    table.push([c.name, paint(color, style, state), c.neededFor, c.evidence]);
  }
  const [era = '', cni = ''] = needs;
  const advice = missing.map((c) => `${c.name} is missing: ${c.howToGet}`);
  const verdict =
    missing.length === 0
      ? `Era ${era} with ${cni} runs here.`
      : `Era ${era} with ${cni} cannot run here.\n${advice.join('\n')}\n${ELSEWHERE}`;
  return `${table.toString()}\n${verdict}`;
}

function isNeeded({ required }: Capability, needs: readonly string[]): boolean {
  return needs.some((need) => isRequired(required, need));
}

/** Of a file or a pipe that somebody will look at. */
const USUAL_COLUMNS = 120;
const NAME_WIDTH = 27;
const STATE_WIDTH = 9;

/** What is left beside name and state is shared by the two columns of sentences. */
function columnWidths(columns: number): number[] {
  const borders = 5;
  const rest = Math.max(40, columns - NAME_WIDTH - STATE_WIDTH - borders);
  const needed = Math.floor(rest * 0.45);
  return [NAME_WIDTH, STATE_WIDTH, needed, rest - needed];
}
