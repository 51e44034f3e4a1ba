import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { farUnpack } from '../../lab/hosts/remote/far-unpack.ts';
import { collectProject } from '../../lab/hosts/remote/project.ts';
import { readTar, TarError, writeTar } from '../../lab/hosts/remote/tar.ts';
import { translateArguments } from '../../lab/hosts/remote/translate-arguments.ts';

function scratch(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'sent-project-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A clone with three files that git tracks, and one that it does not. */
function clone(t: Test): string {
  const root = scratch(t);
  mkdirSync(join(root, 'deep', 'x'.repeat(120)), { recursive: true });
  writeFileSync(join(root, 'plain'), 'one\n');
  writeFileSync(join(root, 'run.sh'), '#!/bin/sh\n');
  chmodSync(join(root, 'run.sh'), 0o755);
  writeFileSync(join(root, 'deep', 'x'.repeat(120), 'long'), Buffer.alloc(70_000, 7));
  symlinkSync('plain', join(root, 'link'));
  execFileSync('git', ['init', '-q', root]);
  execFileSync('git', ['-C', root, 'add', '-A']);
  writeFileSync(join(root, 'untracked'), 'secret\n');
  return root;
}

async function send(root: string, folder: string): Promise<string> {
  const { digest, files } = await collectProject(root);
  await farUnpack(folder, digest, Readable.from(writeTar(files)).pipe(createGzip()));
  return digest;
}

t.test('collectProject() and farUnpack() carry what git tracks, and nothing else', async (t) => {
  const [root, folder] = [clone(t), scratch(t)];
  const digest = await send(root, folder);
  const there = (path: string) => join(folder, 'project', path);
  t.equal(readFileSync(join(folder, 'sent'), 'utf8'), digest);
  t.equal(readFileSync(there('plain'), 'utf8'), 'one\n');
  t.equal(readFileSync(there('link'), 'utf8'), 'one\n', 'a link');
  t.equal(readFileSync(there(`deep/${'x'.repeat(120)}/long`)).length, 70_000, 'a long path');
  t.equal(statSync(there('run.sh')).mode & 0o111, 0o111, 'still a program');
  t.notOk(existsSync(there('untracked')));

  mkdirSync(there('node_modules'));
  const long = new Date('2001-01-01');
  for (const path of ['plain', 'run.sh']) utimesSync(there(path), long, long);
  writeFileSync(join(root, 'plain'), 'two\n');
  rmSync(join(root, 'link'));
  t.not(await send(root, folder), digest, 'another digest');
  t.equal(readFileSync(there('plain'), 'utf8'), 'two\n', 'as it stands, committed or not');
  t.same(statSync(there('run.sh')).mtime, long, 'what is the same keeps its time');
  t.ok(statSync(there('plain')).mtime > long);
  t.notOk(existsSync(there('link')), 'what is gone here is gone there');
  t.ok(existsSync(there('node_modules')), 'what set-up made there stays');
});

t.test('collectProject() says what is missing where there is no clone', async (t) => {
  await t.rejects(collectProject(scratch(t)), {
    code: 'LAB_CANNOT_RUN',
    message: /not a git repository/,
  });
});

t.test('writeTar() is read by tar, and readTar() refuses what is none', async (t) => {
  const root = clone(t);
  const { files } = await collectProject(root);
  const archive = Buffer.concat(await Readable.from(writeTar(files)).toArray());
  const listed = execFileSync('tar', ['-tf', '-'], { input: archive, encoding: 'utf8' });
  t.same(listed.trim().split('\n').sort(), files.map(({ entry }) => entry.path).sort());
  const read = async (bytes: Buffer): Promise<number> => {
    let count = 0;
    for await (const entry of readTar(Readable.from([bytes])))
      count += entry.path.length > 0 ? 1 : 0;
    return count;
  };
  t.equal(await read(archive), files.length);
  for (const length of [0, 100, 600, archive.length - 600])
    await t.rejects(read(archive.subarray(0, length)), TarError, `${length} bytes of it`);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(archive.length - 1),
      fc.integer({ min: 1, max: 255 }),
      async (at, by) => {
        const broken = Buffer.from(archive);
        broken[at] = (broken[at] ?? 0) ^ by;
        try {
          return (await read(broken)) <= files.length;
        } catch (error) {
          return error instanceof TarError;
        }
      },
    ),
    { numRuns: 100 },
  );
  const entry = { kind: 'file', path: '../out', isExecutable: false, sizeBytes: 0 } as const;
  const evil = Buffer.concat(await Readable.from(writeTar([{ entry, file: '' }])).toArray());
  await t.rejects(read(evil), { message: /"\.\.\/out" leads out of it/ });
});

t.test('translateArguments() makes arguments mean the same over there', async (t) => {
  const root = scratch(t);
  mkdirSync(join(root, 'topologies'));
  for (const name of ['a.yaml', 'untracked.yaml'])
    writeFileSync(join(root, 'topologies', name), '');
  const places = {
    root,
    cwd: root,
    sent: new Set(['topologies/a.yaml']),
    remoteFile: (number: number) => `/there/${number}`,
  };
  const wholePath = join(root, 'topologies', 'a.yaml');
  t.same(
    translateArguments(
      ['run', wholePath, '--results=out', '--html', 'p.html', '--', wholePath],
      places,
    ),
    {
      args: ['run', 'topologies/a.yaml', '--html', '/there/0', '--', wholePath],
      cwd: '',
      results: join(root, 'out'),
      files: [join(root, 'p.html')],
    },
  );
  const below = { ...places, cwd: join(root, 'topologies') };
  t.match(translateArguments(['run', 'a.yaml'], below), {
    args: ['run', 'a.yaml'],
    cwd: 'topologies',
  });
  const outside = { ...places, cwd: tmpdir() };
  t.match(translateArguments(['run', wholePath, 'sleep'], outside), {
    args: ['run', 'topologies/a.yaml', 'sleep'],
    cwd: '',
  });
  t.throws(() => translateArguments(['run', 'untracked.yaml'], below), {
    code: 'LAB_BAD_FILE',
    hint: /git add untracked\.yaml/,
  });
  t.throws(() => translateArguments(['regress', '--update'], places), { code: 'LAB_BAD_OPTION' });
});
