import { pad } from './text.ts';
import { wrapText } from './wrap.ts';

/** Narrower columns than this break every word. */
const NARROWEST = 30;

/** Cuts words that are longer than a line of the column. */
function breakWords(text: string, width: number): string {
  return text
    .split(' ')
    .map((word) => word.replaceAll(new RegExp(`.{${width}}(?=.)`, 'gu'), '$& '))
    .join(' ');
}

/** Two texts beside each other, each wrapped to its column, with a sign between. */
export function sideBySide(
  left: string,
  sign: string,
  right: string,
  width: number,
): readonly string[] {
  const column = Math.max(NARROWEST, Math.floor((width - 3) / 2));
  const lines = (text: string): readonly string[] => {
    if (text === '') return [''];
    const hang = text.length - text.trimStart().length + 2;
    return wrapText(breakWords(text, column - hang), 0, column, hang).split('\n');
  };
  const a = lines(left);
  const b = lines(right);
  return Array.from({ length: Math.max(a.length, b.length) }, (_, index) => {
    const mark = index === 0 ? sign : ' ';
    return `${pad(a[index] ?? '', column)} ${mark} ${b[index] ?? ''}`.trimEnd();
  });
}
