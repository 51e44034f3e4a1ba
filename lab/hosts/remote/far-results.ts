import { lstatSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { endSession, resultsOf } from './far-sessions.ts';
import { FILES, RECEIVED, RUNS, sessionOf } from './orders.ts';
import { writeTar, type TarSource } from './tar.ts';

/**
 * Writes an archive of what a session has left to standard output. Only when the other end says that
 * it has it, it is removed here.
 */
export async function farResults(folder: string, session: string): Promise<void> {
  const paths = resultsOf(folder, session);
  const files = join(sessionOf(folder, session), FILES);
  const sources = paths.flatMap((path) =>
    walk(path, `${dirname(path) === files ? FILES : RUNS}/${basename(path)}`),
  );
  await pipeline(Readable.from(writeTar(sources)), createGzip({ level: 1 }), process.stdout, {
    end: false,
  });
  process.stdout.end();
  let answer = '';
  for await (const part of process.stdin) answer += String(part);
  if (answer.trim() !== RECEIVED) return;
  for (const path of paths) rmSync(path, { recursive: true, force: true });
  endSession(folder, session);
}

function walk(file: string, path: string): readonly TarSource[] {
  const stat = lstatSync(file);
  if (stat.isDirectory()) {
    const below = readdirSync(file).sort();
    return [
      { file, entry: { kind: 'directory', path } },
      ...below.flatMap((name) => walk(join(file, name), `${path}/${name}`)),
    ];
  }
  if (stat.isSymbolicLink())
    return [{ file, entry: { kind: 'link', path, target: readlinkSync(file) } }];
  if (!stat.isFile()) return [];
  return [{ file, entry: { kind: 'file', path, isExecutable: false, sizeBytes: stat.size } }];
}
