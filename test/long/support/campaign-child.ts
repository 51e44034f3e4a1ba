/**
 * Runs one campaign in a process of its own: `campaign-child.ts <module> <target> <seed> <from>
 * <count> <progress file>`. Prints the result as JSON; the progress file always holds the number of
 * the input that is being fed, so that who watches can name the input of a crash or a hang.
 */
import { openSync, writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { runCampaign, type FuzzTargets } from './campaign.ts';

const [modulePath = '', name = '', seed, from, count, progressFile = ''] = process.argv.slice(2);
const { TARGETS } = (await import(pathToFileURL(modulePath).href)) as { TARGETS: FuzzTargets };
const makeTarget = TARGETS[name];
if (makeTarget === undefined) throw new Error(`Cannot fuzz "${name}": no such target`);
const progress = openSync(progressFile, 'w');
const result = await runCampaign(await makeTarget(), {
  seed: Number(seed),
  from: Number(from),
  count: Number(count),
  onInput: (index) => writeSync(progress, String(index).padEnd(12), 0),
});
console.log(JSON.stringify(result));
