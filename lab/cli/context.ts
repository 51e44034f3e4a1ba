import { CommandError } from './exit.ts';
import { createOutput, type Output } from './output.ts';

/** What every verb gets beside its own options. */
export interface CommandContext {
  output(json: boolean): Output;
  /** Ends when the person interrupts. */
  readonly signal: AbortSignal;
}

export function createContext(signal: AbortSignal): CommandContext {
  return { output: createOutput, signal };
}

/** @throws CommandError LAB_NOT_ROOT when the process may not make namespaces. */
export function requireRoot(verb: string): void {
  if (process.getuid?.() === 0) return;
  throw new CommandError(
    'LAB_NOT_ROOT',
    `Cannot run "${verb}" as a normal user: network namespaces need root`,
    `Run it as root: sudo npm run lab -- ${verb}`,
  );
}
