import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CAPTURE_FILES } from '../../../lab/capture/layout.ts';
import { analyseRun } from '../../../lab/facts/analyse-run.ts';
import type { RequestResult } from '../../../lab/facts/request.ts';
import type { Plan } from '../../../lab/plan/plan.ts';

/** `print-facts <run directory>`: the facts of a run as JSON on stdout, from a cold start. */
const [, , dir = '.'] = process.argv;
const read = async (name: string): Promise<unknown> =>
  JSON.parse(await readFile(join(dir, name), 'utf8'));
const plan = (await read(CAPTURE_FILES.plan)) as Plan;
const requests = (await read('requests.json')) as readonly RequestResult[];
process.stdout.write(JSON.stringify(await analyseRun({ dir, plan, requests })));
