import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child } from './child-table.ts';
import { LabError } from './errors.ts';

const LAST_WORDS_LINES = 5;

/**
 * Why the lab cannot go on without this program, or nothing while it runs. SIGKILL comes from a
 * person or from a machine without memory, never from a fault of the program: that is
 * LAB_PROCESS_KILLED, every other end LAB_PROCESS_EXITED. The program's last words are taken along,
 * since its log goes with the lab.
 */
export function endOf({ spec, state, exit }: Child, logs: string): LabError | undefined {
  if (state !== 'exited') return undefined;
  const details = { program: spec.name, ...exit };
  if (exit?.signal === 'SIGKILL') {
    return new LabError(
      'LAB_PROCESS_KILLED',
      `Cannot go on: ${spec.name} was killed (SIGKILL), it has to run`,
      { details, hint: 'Somebody killed it, or the kernel did for want of memory: see dmesg' },
    );
  }
  const how = exit?.signal ?? `exit code ${exit?.code ?? '?'}`;
  const words = lastWords(join(logs, `${spec.name}.log`));
  return new LabError('LAB_PROCESS_EXITED', `Cannot go on: ${spec.name} has ended with ${how}`, {
    details,
    ...(words === '' ? {} : { hint: `Its last words:\n${words}` }),
  });
}

function lastWords(log: string): string {
  try {
    return readFileSync(log, 'utf8').trim().split('\n').slice(-LAST_WORDS_LINES).join('\n');
  } catch {
    return '';
  }
}
