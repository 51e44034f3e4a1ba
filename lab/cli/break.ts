import type { Command } from 'commander';
import { FAULT_NAMES } from '../../topologies/fault-names.ts';
import { ALL_FAULTS } from '../faults/all-faults.ts';
import { breakLab, brokenIn, type FaultChange, mendAll, mendLab } from '../faults/break-lab.ts';
import { FaultError } from '../faults/errors.ts';
import { wrapText } from '../report/wrap.ts';
import { type CommandContext, requireRoot } from './context.ts';
import type { Output } from './output.ts';
import { findLab } from './world.ts';

interface BreakOptions {
  readonly list?: boolean;
  readonly all?: boolean;
  readonly lab?: string;
  readonly json?: boolean;
}

/** `break` and `mend`: faults that people meet, made in a running lab and taken back. */
export function addBreak(program: Command, context: CommandContext): void {
  program
    .command('break')
    .summary('make a fault of the field in a running lab')
    .description(
      'Makes one of the faults that people meet in clusters, in the namespaces of a running lab and\n' +
        'nowhere else. `diagnose` finds its cause without being told; `mend` takes it back.',
    )
    .argument('[fault]', 'which one, see --list')
    .argument('[where]', 'pod or node; the first that suits unless given')
    .option('--list', 'print all faults and what people see of each')
    .option('--lab <name>', 'which lab, when several run')
    .option('--json', 'one JSON value on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  npm run lab -- break ztunnel-not-told demo/sleep\n' +
        '  npm run lab -- exec sleep -- curl -sS http://httpbin.demo:8000/get\n' +
        '  npm run lab -- diagnose\n  npm run lab -- mend ztunnel-not-told',
    )
    .action(async (fault: string | undefined, where: string | undefined, options: BreakOptions) => {
      const output = context.output(options.json === true);
      if (options.list === true) return listFaults(output);
      const named = requireName('break', fault);
      requireRoot('break');
      await using lab = await findLab(options.lab);
      const change = await breakLab(lab, named, where);
      output.result(change, () => describeBreak(change, output.width));
    });
  program
    .command('mend')
    .summary('take a fault back that break has made')
    .argument('[fault]', 'which one')
    .argument('[where]', 'pod or node, when it is broken at several')
    .option('--all', 'all that are broken, the newest first')
    .option('--lab <name>', 'which lab, when several run')
    .option('--json', 'one JSON value on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  npm run lab -- mend ztunnel-not-told\n  npm run lab -- mend --all',
    )
    .action(async (fault: string | undefined, where: string | undefined, options: BreakOptions) => {
      const output = context.output(options.json === true);
      const named = options.all === true ? undefined : requireName('mend', fault);
      requireRoot('mend');
      await using lab = await findLab(options.lab);
      const mended = named === undefined ? await mendAll(lab) : [await mendLab(lab, named, where)];
      const left = await brokenIn(lab);
      output.result(mended, () => describeMended(mended, left.length));
    });
}

function requireName(verb: 'break' | 'mend', fault: string | undefined): string {
  if (fault !== undefined) return fault;
  throw new FaultError(
    'LAB_BAD_FAULT',
    '',
    `Cannot ${verb} nothing: a fault is wanted, one of ${FAULT_NAMES.join(', ')}`,
    'See what each is with: npm run lab -- break --list',
  );
}

function listFaults(output: Output): void {
  const listed = Object.values(ALL_FAULTS).map(({ name, kind, title, seen, field }) => {
    return { name, kind, title, seen, field };
  });
  output.result(listed, () =>
    listed
      .map(({ name, kind, title, seen, field }) =>
        [
          `${name} [${kind}]`,
          wrapText(`${title}.`, 2, output.width),
          wrapText(`seen   ${seen}`, 2, output.width, 9),
          wrapText(`field  ${field}`, 2, output.width, 9),
        ].join('\n'),
      )
      .join('\n\n'),
  );
}

function describeBreak({ fault, at, title, seen }: FaultChange, width: number): string {
  return [
    `Broken at ${at}: ${title}.`,
    wrapText(`What people see: ${seen}`, 0, width),
    `Find the cause with diagnose, take it back with: npm run lab -- mend ${fault} ${at}`,
  ].join('\n');
}

function describeMended(mended: readonly FaultChange[], left: number): string {
  if (mended.length === 0) return 'Nothing was broken.';
  const lines = mended.map(({ fault, at }) => `Mended ${fault} at ${at}.`);
  return [...lines, left === 0 ? 'Nothing is broken now.' : `${left} more broken.`].join('\n');
}
