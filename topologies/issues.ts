import * as z from 'zod';
import type { TopologyFault } from './errors.ts';
import { nearest } from './nearest.ts';
import type { Path, SourceDocument } from './source.ts';

type Issue = z.core.$ZodIssue;

/**
 * Checks a document against a schema. Afterwards either `data` is of the schema's type, or there
 * is at least one fault, with the nearest known key or value where one is near.
 */
export function checkShape<T extends z.ZodType>(
  schema: T,
  document: SourceDocument,
  at: Path = [],
): { readonly data?: z.infer<T>; readonly faults: readonly TopologyFault[] } {
  const result = schema.safeParse(valueAt(document.value, at));
  if (result.success) return { data: result.data, faults: [] };
  const faults = result.error.issues.flatMap((issue) =>
    faultsOfIssue(schema, document, at, flatten(issue)),
  );
  return { faults };
}

/** A union reports every branch; the one that came furthest says what was meant. */
function flatten(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue;
  const branches = issue.errors.filter((issues) => issues.length > 0);
  const depth = (issues: readonly Issue[]): number =>
    Math.max(...issues.map((inner) => inner.path.length + (inner.code === 'invalid_type' ? 0 : 1)));
  const best = [...branches].sort((a, b) => depth(b) - depth(a))[0];
  if (!best || depth(best) === 0) return issue;
  const inner = flatten(best[0]!);
  return { ...inner, path: [...issue.path, ...inner.path] };
}

function faultsOfIssue(
  schema: z.ZodType,
  document: SourceDocument,
  at: Path,
  issue: Issue,
): TopologyFault[] {
  const inner = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
  const path = [...at, ...inner];
  const value = valueAt(document.value, path);
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = knownKeys(schema, inner);
      return issue.keys.map((key) => {
        const suggestion = nearest(key, known);
        return document.fault([...path, key], `Unknown key "${key}"`, { spot: 'key', suggestion });
      });
    }
    case 'invalid_value': {
      const values = issue.values.map(String);
      const message = `Unknown value ${describe(value)}: want ${oneOf(values)}`;
      if (value === undefined) break;
      return [document.fault(path, nameEra(path, message), { suggestion: near(value, values) })];
    }
    case 'invalid_key': {
      const reason = issue.issues[0]?.message ?? 'not a name';
      const key = String(path.at(-1));
      return [document.fault(path, `Cannot use key "${key}": ${lower(reason)}`, { spot: 'key' })];
    }
    case 'invalid_type':
      if (value === undefined) break;
      return [document.fault(path, `Expected ${noun(issue.expected)}, got ${describe(value)}`)];
    case 'invalid_union':
      if (value === undefined) break;
      return [document.fault(path, `Cannot use ${describe(value)} here`)];
    case 'too_small':
    case 'too_big':
      return [document.fault(path, `${describe(value)} is out of range: ${limit(issue)}`)];
    case 'custom':
    case 'invalid_format':
    case 'invalid_element':
    case 'not_multiple_of':
      return [document.fault(path, value === undefined ? issue.message : valued(issue, value))];
  }
  return [document.fault(path.slice(0, -1), `Missing key "${path.at(-1)}"`)];
}

function valued(issue: Issue, value: unknown): string {
  return typeof value === 'object' ? issue.message : `${issue.message}: ${describe(value)}`;
}

function nameEra(path: Path, message: string): string {
  return path.length === 1 && path[0] === 'era' ? message.replace('value', 'era') : message;
}

function near(value: unknown, values: readonly string[]): string | undefined {
  return typeof value === 'string' ? nearest(value, values) : undefined;
}

function limit(issue: Issue & { code: 'too_small' | 'too_big' }): string {
  const of = issue.origin === 'string' ? ' characters' : issue.origin === 'array' ? ' items' : '';
  if (issue.code === 'too_small') return `want at least ${issue.minimum}${of}`;
  return `want at most ${issue.maximum}${of}`;
}

/** Value at a path of plain data; `undefined` when nothing is there. */
export function valueAt(value: unknown, path: Path): unknown {
  let current = value;
  for (const part of path) {
    if (typeof current !== 'object' || current === null) return undefined;
    if (!Object.hasOwn(current, part)) return undefined;
    current = (current as Record<string | number, unknown>)[part];
  }
  return current;
}

/** A value as a message shows it: text quoted, long text cut, structures by their kind. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return `"${value.length > 80 ? `${value.slice(0, 77)}…` : value}"`;
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a mapping';
  return value === null ? 'nothing' : (JSON.stringify(value) ?? 'nothing');
}

/** `a, b or c`. */
export function oneOf(values: readonly string[]): string {
  if (values.length < 2) return values.join('');
  return `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
}

function noun(expected: string): string {
  const nouns: Readonly<Record<string, string>> = {
    object: 'a mapping',
    record: 'a mapping',
    array: 'a list',
    tuple: 'a list',
    string: 'a text',
    number: 'a number',
    int: 'a whole number',
    boolean: 'true or false',
  };
  return nouns[expected] ?? expected;
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** Keys a schema knows at a path, through lists, maps, options and unions. */
function knownKeys(schema: z.ZodType, path: Path): string[] {
  let level = unwrap(schema);
  for (const part of path) {
    level = level.flatMap((one) => {
      if (one instanceof z.ZodObject) {
        const child: unknown = Object.hasOwn(one.shape, part) ? one.shape[part] : undefined;
        return child instanceof z.ZodType ? unwrap(child) : [];
      }
      if (one instanceof z.ZodArray) return unwrap(one.element as z.ZodType);
      if (one instanceof z.ZodRecord) return unwrap(one.valueType as z.ZodType);
      return [];
    });
  }
  return level.flatMap((one) => (one instanceof z.ZodObject ? Object.keys(one.shape) : []));
}

function unwrap(schema: z.ZodType): z.ZodType[] {
  if (schema instanceof z.ZodOptional) return unwrap(schema.unwrap() as z.ZodType);
  if (schema instanceof z.ZodUnion)
    return schema.options.flatMap((one) => unwrap(one as z.ZodType));
  return [schema];
}
