import type { PageData } from '../page-data.ts';
import { all, byId } from './elements.ts';
import { watchHops } from './hop-views.ts';
import { startReplay } from './replay.ts';
import { startTheme } from './theme.ts';

const text = document.getElementById('page-data')?.textContent ?? '';
const data = JSON.parse(text) as PageData;

startTheme();
watchHops(data);
startReplay(data);
openTarget();
window.addEventListener('hashchange', openTarget);
openForPrint();
watchDifferences();

/** A link to something folded unfolds it and everything around it. */
function openTarget(): void {
  let found: Element | null = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const target = found;
  for (; found !== null; found = found.parentElement) {
    if (found instanceof HTMLDetailsElement) found.open = true;
  }
  target?.scrollIntoView();
}

/** Paper shows every ladder; hops stay as their reader left them. */
function openForPrint(): void {
  let opened: HTMLDetailsElement[] = [];
  window.addEventListener('beforeprint', () => {
    opened = all('details.request, details.comparison', HTMLDetailsElement).filter(
      (each) => !each.open,
    );
    for (const each of opened) each.open = true;
  });
  window.addEventListener('afterprint', () => {
    for (const each of opened) each.open = false;
  });
}

function watchDifferences(): void {
  const box = byId('only-differences', HTMLInputElement);
  box?.addEventListener('change', () => {
    document.getElementById('comparison')?.classList.toggle('only-differences', box.checked);
  });
}
