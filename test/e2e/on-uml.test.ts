import { release } from 'node:os';
import t from 'tap';
import { missingForSshd } from '../support/sshd.ts';
import { bootUmlMachine } from '../support/uml-machine.ts';
import { missingForUml } from '../support/uml.ts';

t.setTimeout(280_000);

const lacking = missingForUml() ?? missingForSshd();
const options = lacking === undefined ? {} : { skip: lacking };

interface Doctor {
  readonly runs: boolean;
  readonly capabilities: readonly { readonly name: string; readonly evidence: string }[];
}

t.test('doctor --on tells of the kernel of that machine, not of this one', options, async (t) => {
  const machine = await bootUmlMachine(t);
  const done = await machine.on(['doctor', '--era', 'geneve', '--json']);
  const { runs, capabilities } = JSON.parse(done.stdout || '{}') as Partial<Doctor>;
  // On a busy machine one of its trials may take too long over there, and it says so.
  t.equal(done.exitCode, runs === true ? 0 : 3, done.stderr);
  const kernel = capabilities?.find(({ name }) => name === 'socket marks in captures');
  t.match(kernel?.evidence, /^Linux \d+\.\d+/);
  t.not(kernel?.evidence, `Linux ${release()}`);
  const halted = await machine.halt();
  if (kernel === undefined) t.comment(halted.console);
});
