import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { addBench } from './bench.ts';
import { addBreak } from './break.ts';
import { addApply } from './apply.ts';
import { addCapture } from './capture.ts';
import { addClaims } from './claims.ts';
import { createContext } from './context.ts';
import { addDiagnose } from './diagnose.ts';
import { addDelete } from './delete.ts';
import { addDiff } from './diff.ts';
import { addDoctor } from './doctor.ts';
import { addDown } from './down.ts';
import { addEnrol } from './enrol.ts';
import { addExec } from './exec.ts';
import { describeError, EXIT, exitCodeFor } from './exit.ts';
import { addGc } from './gc.ts';
import { addGrid } from './grid.ts';
import { abortOnSignal, toleratePipes } from './interrupt.ts';
import { addMutate } from './mutate.ts';
import { takeOnOptions } from './on-options.ts';
import { addPlan } from './plan.ts';
import { projectRoot } from './project-root.ts';
import { addProve } from './prove.ts';
import { addRegress } from './regress.ts';
import { addRules } from './rules.ts';
import { addRun } from './run.ts';
import { addStatus } from './status.ts';
import { addTrace } from './trace.ts';
import { addUp } from './up.ts';

const VERBS = [
  addRun,
  addUp,
  addDown,
  addStatus,
  addPlan,
  addExec,
  addEnrol,
  addApply,
  addDelete,
  addRules,
  addCapture,
  addTrace,
  addProve,
  addGrid,
  addClaims,
  addDiff,
  addMutate,
  addBench,
  addRegress,
  addBreak,
  addDiagnose,
  addDoctor,
  addGc,
];

const EXIT_CODES = `
Exit codes: 0 held · 1 an expectation failed · 2 bad input · 3 this machine cannot run it (or what was
running was killed) · 4 our own bug · 130, 143 interrupted (Ctrl-C, SIGTERM)`;

/** Settles when the verb is done. */
export const finished = main(process.argv);

async function main(argv: readonly string[]): Promise<void> {
  toleratePipes();
  let interrupt: AbortSignal | undefined;
  try {
    const elsewhere = takeOnOptions(argv.slice(2));
    if (elsewhere.on !== undefined) {
      const { runOn } = await import('./on.ts');
      process.exitCode = await runOn(elsewhere);
      return;
    }
    interrupt = abortOnSignal();
    await createProgram(interrupt).parseAsync([...argv]);
  } catch (error) {
    // Whatever an interrupt has broken is told as the interrupt.
    const isInterrupted = interrupt?.aborted === true;
    report(isInterrupted ? interrupt?.reason : error, argv.includes('--debug'));
  }
}

function createProgram(signal: AbortSignal): Command {
  const program = new Command('ambient-lab')
    .description(
      "A network-namespace lab: runs Istio's data planes on real kernels and proves with packets what happened.",
    )
    .version(versionOfProject(), '-V, --version', 'print the version')
    .option('--debug', 'print the stack of an error')
    .option(
      '--on <[user@]host[:port]>',
      'run the verb on a bare machine over SSH, or in the Vagrant machine (`vagrant:`)',
    )
    .option('--identity <file>', 'private key for --on, beside those of the agent and of ~/.ssh')
    .showSuggestionAfterError()
    .exitOverride()
    .addHelpText('after', EXIT_CODES);
  const context = createContext(signal);
  for (const add of VERBS) add(program, context);
  for (const command of program.commands) {
    command.exitOverride().showSuggestionAfterError();
    // The terminal's width breaks these lines, not that of our source.
    command.description(command.description().replaceAll('\n', ' '));
  }
  return program;
}

/** That of package.json, which stands in the project's root wherever the program runs from. */
function versionOfProject(): string {
  const file = join(projectRoot(), 'package.json');
  if (!existsSync(file)) return 'unknown';
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version;
}

function report(error: unknown, withStack: boolean): void {
  if (error instanceof CommanderError) {
    // Help and version end this way too, and are no fault.
    process.exitCode = error.exitCode === 0 ? EXIT.held : EXIT.badInput;
    return;
  }
  process.stderr.write(`${describeError(error, withStack)}\n`);
  process.exitCode = exitCodeFor(error);
}
