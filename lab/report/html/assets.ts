import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Style and script of every page, small enough to be in each of them. */
export interface PageAssets {
  readonly style: string;
  readonly script: string;
}

/**
 * Reads what the bundler left beside this program, or, running from source, bundles it now: a page
 * made by sources never has the script of a stale bundle.
 */
export async function loadAssets(): Promise<PageAssets> {
  const here = fileURLToPath(import.meta.url);
  if (here.endsWith('.mjs')) return readBundle(dirname(here));
  const { build } = await import('esbuild');
  const folder = dirname(here);
  const { outputFiles } = await build({
    absWorkingDir: folder,
    entryPoints: { 'report-page': 'browser/main.ts', 'report-style': 'page.css' },
    outdir: 'out',
    bundle: true,
    write: false,
    minify: true,
    format: 'iife',
    target: 'es2022',
  });
  const textOf = (name: string): string =>
    outputFiles.find(({ path }) => path.endsWith(name))?.text.trim() ?? '';
  return { script: textOf('report-page.js'), style: textOf('report-style.css') };
}

function readBundle(folder: string): PageAssets {
  const read = (name: string): string => {
    const path = join(folder, name);
    if (!existsSync(path)) {
      throw new Error(`Cannot make an HTML report: no file ${path}, npm run build makes it`);
    }
    return readFileSync(path, 'utf8').trim();
  };
  return { script: read('report-page.js'), style: read('report-style.css') };
}
