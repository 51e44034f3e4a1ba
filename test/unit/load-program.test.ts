import { copyFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';

const SOURCE = join(import.meta.dirname, '..', '..', 'scripts', 'load-program.cjs');

type LoadProgram = (moduleUrl: string, name: string) => { readonly text: string };

for (const text of ['plain', '2.29×', '“a → b” – µs', '\u{1f512}']) {
  t.test(`loadProgram() reads "${text}" as it was written`, async (t) => {
    const directory = t.testdir();
    const loader = join(directory, 'load-program.cjs');
    copyFileSync(SOURCE, loader);
    writeFileSync(join(directory, 'program.cjs'), `exports.text = \`${text}\`;`);
    const loadProgram = createRequire(import.meta.url)(loader) as LoadProgram;
    const { href } = pathToFileURL(join(directory, 'program.mjs'));
    t.equal(loadProgram(href, 'program.cjs').text, text);
  });
}
