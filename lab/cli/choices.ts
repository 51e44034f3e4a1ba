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
  const era = eras.find((each) => each === word);
  if (era !== undefined) return era;
  const known = eras.join(', ');
  throw new CommandError(
    'LAB_BAD_ERA',
    `Cannot build era "${word}": want one of ${known}`,
    didYouMean(word, eras),
  );
}

/** `--jobs`: how many labs at once. */
export function jobsOption(most: number, standard: number): Option {
  return new Option('--jobs <number>', 'labs at the same time')
    .default(standard)
    .argParser((text) => readJobs(text, most));
}

/** @throws CommandError LAB_BAD_CHOICE */
function readJobs(text: string, most: number): number {
  const jobs = Number(text);
  if (/^[1-9]\d*$/.test(text) && jobs <= most) return jobs;
  throw new CommandError(
    'LAB_BAD_CHOICE',
    `Cannot run "${text}" labs at a time: want 1 to ${most}`,
  );
}
