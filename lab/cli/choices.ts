import { Option } from 'commander';
import { type Era, ERAS } from '../../dataplane/redirect/era.ts';
import { didYouMean } from '../../topologies/nearest.ts';
import { CommandError } from './exit.ts';

/** The era of a name. @throws CommandError LAB_BAD_ERA with the nearest one there is */
export function eraNamed(word: string): Era {
  return eraAmong(word, ERAS);
}

/** The same among other eras. @throws CommandError LAB_BAD_ERA */
export function eraAmong<E extends string>(word: string, eras: readonly E[]): E {
  return namedOf(eras, word, 'build era', 'LAB_BAD_ERA');
}

/**
 * The one of some names that a word is.
 * @param action what cannot be done with another, as in "Cannot <action> <word>"
 * @throws CommandError with the nearest name
 */
export function namedOf<Name extends string>(
  names: readonly Name[],
  word: string,
  action: string,
  code = 'LAB_BAD_CHOICE',
): Name {
  const name = names.find((each) => each === word);
  if (name !== undefined) return name;
  const message = `Cannot ${action} "${word}": want one of ${names.join(', ')}`;
  throw new CommandError(code, message, didYouMean(word, names));
}

/** `--jobs`: how many labs at once. */
export function jobsOption(most: number, standard: number): Option {
  return new Option('--jobs <number>', 'labs at the same time')
    .default(standard)
    .argParser(wholeNumber(1, most, (text) => `Cannot run "${text}" labs at a time`));
}

/** Reads a number of an option. @throws CommandError LAB_BAD_CHOICE with what `refusal` says */
export function wholeNumber(
  least: number,
  most: number,
  refusal: (text: string) => string,
): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new CommandError(
      'LAB_BAD_CHOICE',
      `${refusal(text)}: want a whole number from ${least} to ${most}`,
    );
  };
}
