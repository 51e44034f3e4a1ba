import { CommandError } from './exit.ts';

/** Where to go, and what is left for there. */
export interface OnOptions {
  readonly on: string | undefined;
  /** A private key. */
  readonly identity: string | undefined;
  /** Verb and arguments. */
  readonly args: readonly string[];
}

/**
 * Takes `--on` and `--identity` out of the arguments of a verb, wherever they stand before `--`.
 *
 * @throws CommandError LAB_BAD_OPTION for one without a value
 */
export function takeOnOptions(argv: readonly string[]): OnOptions {
  const end = argv.indexOf('--');
  const own = end < 0 ? [...argv] : argv.slice(0, end);
  const on = takeValue(own, '--on');
  const identity = takeValue(own, '--identity');
  return { on, identity, args: [...own, ...(end < 0 ? [] : argv.slice(end))] };
}

/** `--option value` or `--option=value`; the list is without it afterwards. */
function takeValue(args: string[], option: string): string | undefined {
  const at = args.findIndex((arg) => arg === option || arg.startsWith(`${option}=`));
  if (at < 0) return undefined;
  const [arg = ''] = args.splice(at, 1);
  const value = arg === option ? args.splice(at, 1)[0] : arg.slice(option.length + 1);
  if (value !== undefined && value !== '') return value;
  throw new CommandError(
    'LAB_BAD_OPTION',
    `Cannot read "${option}": it has no value, one was wished`,
    'Example: npm run lab -- --on root@192.0.2.7 run topologies/two-nodes.yaml',
  );
}
