import { byId } from './elements.ts';

const KEY = 'ambient-lab-theme';
const NEXT: Readonly<Record<string, string>> = { auto: 'dark', dark: 'light', light: 'auto' };

/** The button that walks through the colours: as the system has them, dark, light. */
export function startTheme(): void {
  const button = byId('theme', HTMLButtonElement);
  const show = (theme: string): void => {
    if (theme === 'auto') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
    if (!button) return;
    button.textContent = `Colours: ${theme}`;
    const said = theme === 'auto' ? 'as the system has them' : theme;
    button.setAttribute('aria-label', `Colours: ${said}`);
  };
  let theme = read();
  show(theme);
  button?.addEventListener('click', () => {
    theme = NEXT[theme] ?? 'auto';
    show(theme);
    write(theme);
  });
}

/** Pages opened from a file may have no storage. */
function read(): string {
  try {
    const kept = window.localStorage.getItem(KEY) ?? 'auto';
    return kept in NEXT ? kept : 'auto';
  } catch {
    return 'auto';
  }
}

function write(theme: string): void {
  try {
    window.localStorage.setItem(KEY, theme);
  } catch {
    // The choice lasts as long as the page then.
  }
}
