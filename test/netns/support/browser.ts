import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

/** Programs that speak the DevTools protocol over a pipe, as distributions call them. */
const NAMES = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'];

/** The first browser of this machine that starts, or undefined where none does. */
export function findBrowser(): string | undefined {
  return NAMES.find((name) => spawnSync(name, ['--version'], { timeout: 20_000 }).status === 0);
}

type Params = Readonly<Record<string, unknown>>;

interface Reply {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Params;
  readonly result?: Params;
  readonly error?: { readonly message: string };
}

interface Waiting {
  readonly resolve: (result: Params) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A headless browser without any network, driven over its DevTools pipe (JSON, each message ended by
 * a NUL byte, descriptors 3 and 4). It lives in PID and network namespaces of its own, so that
 * ending it by its handle ends all of its processes.
 */
export class Browser {
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners: ((reply: Reply) => void)[] = [];
  #nextId = 1;
  #rest = '';

  private constructor(child: ChildProcess, profile: string) {
    this.#process = child;
    this.#profile = profile;
    const output = child.stdio[4] as Readable;
    output.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    child.on('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the browser has ended'));
    });
  }

  static async start(program: string): Promise<Browser> {
    const profile = await mkdtemp(join(tmpdir(), 'ambient-lab-browser-'));
    const child = spawn(
      'unshare',
      [
        ...['--net', '--pid', '--fork', '--kill-child=SIGKILL', '--', program],
        ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
        ...[
          '--remote-debugging-pipe',
          '--no-first-run',
          `--user-data-dir=${profile}`,
          'about:blank',
        ],
      ],
      { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
    );
    const browser = new Browser(child, profile);
    await browser.send('Browser.getVersion', {});
    return browser;
  }

  /** @throws what the browser answers with, or that it has ended */
  send(method: string, params: Params, sessionId?: string): Promise<Params> {
    const id = this.#nextId++;
    const message = { id, method, params, ...(sessionId !== undefined && { sessionId }) };
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      (this.#process.stdio[3] as Writable).write(`${JSON.stringify(message)}\0`);
    });
  }

  on(listener: (reply: Reply) => void): void {
    this.#listeners.push(listener);
  }

  async open(url: string, options: PageOptions = {}): Promise<Page> {
    return openPage(this, url, options);
  }

  #read(text: string): void {
    const parts = `${this.#rest}${text}`.split('\0');
    this.#rest = parts.pop() ?? '';
    for (const part of parts) this.#take(JSON.parse(part) as Reply);
  }

  #take(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id ?? -1);
    if (waiting === undefined) {
      for (const listener of this.#listeners) listener(reply);
      return;
    }
    this.#waiting.delete(reply.id ?? -1);
    if (reply.error) waiting.reject(new Error(reply.error.message));
    else waiting.resolve(reply.result ?? {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const isOver = this.#process.exitCode !== null || this.#process.signalCode !== null;
    if (!isOver) {
      const ended = once(this.#process, 'exit');
      this.#process.kill('SIGKILL');
      await ended;
    }
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly colors?: 'light' | 'dark';
  readonly isReducedMotion?: boolean;
}

/** A page that is open: what it complained of, what it asked for, and ways to use it. */
export interface Page {
  /** Errors and warnings of the console, exceptions, refusals of its policy. */
  readonly complaints: readonly string[];
  /** URLs that were asked for, the page's own among them. */
  readonly requests: readonly string[];
  /** Value of an expression in the page; promises are waited for. */
  readonly evaluate: (expression: string) => Promise<unknown>;
  readonly press: (key: string) => Promise<void>;
  readonly screenshot: (isWhole?: boolean) => Promise<Buffer>;
  readonly emulate: (options: PageOptions) => Promise<void>;
}

async function openPage(browser: Browser, url: string, options: PageOptions): Promise<Page> {
  const { targetId } = await browser.send('Target.createTarget', { url: 'about:blank' });
  const attached = await browser.send('Target.attachToTarget', { targetId, flatten: true });
  const session = String(attached['sessionId']);
  const complaints: string[] = [];
  const requests: string[] = [];
  let onLoad = (): void => {};
  browser.on(({ sessionId, method, params = {} }) => {
    if (sessionId !== session) return;
    if (method === 'Runtime.exceptionThrown' || method === 'Log.entryAdded') {
      complaints.push(JSON.stringify(params));
    }
    if (method === 'Runtime.consoleAPICalled') complaints.push(JSON.stringify(params));
    if (method === 'Network.requestWillBeSent') {
      requests.push((params['request'] as { readonly url: string }).url);
    }
    if (method === 'Page.loadEventFired') onLoad();
  });
  const send = (method: string, params: Params = {}): Promise<Params> =>
    browser.send(method, params, session);
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await send(`${domain}.enable`);
  const emulate = (wanted: PageOptions): Promise<void> => applyOptions(send, wanted);
  await emulate(options);
  const loaded = new Promise<void>((resolve) => (onLoad = resolve));
  await send('Page.navigate', { url });
  await loaded;
  return {
    complaints,
    requests,
    emulate,
    evaluate: (expression) => evaluate(send, expression),
    press: (key) => press(send, key),
    screenshot: async (isWhole = false) => {
      const shot = await send('Page.captureScreenshot', { captureBeyondViewport: isWhole });
      return Buffer.from(String(shot['data']), 'base64');
    },
  };
}

type Send = (method: string, params?: Params) => Promise<Params>;

async function applyOptions(send: Send, options: PageOptions): Promise<void> {
  const { width = 1400, height = 1000, colors = 'light', isReducedMotion = false } = options;
  await send('Emulation.setDeviceMetricsOverride', {
    width,
    height,
    deviceScaleFactor: 1,
    mobile: width < 600,
  });
  await send('Emulation.setEmulatedMedia', {
    features: [
      { name: 'prefers-color-scheme', value: colors },
      { name: 'prefers-reduced-motion', value: isReducedMotion ? 'reduce' : 'no-preference' },
    ],
  });
}

async function evaluate(send: Send, expression: string): Promise<unknown> {
  const answer = await send('Runtime.evaluate', {
    expression,
    returnByValue: true,
    awaitPromise: true,
  });
  const thrown = answer['exceptionDetails'];
  if (thrown !== undefined) throw new Error(`${expression}: ${JSON.stringify(thrown)}`);
  return (answer['result'] as { readonly value?: unknown }).value;
}

const KEY_CODES: Readonly<Record<string, number>> = {
  Tab: 9,
  Enter: 13,
  ' ': 32,
  End: 35,
  Home: 36,
  ArrowLeft: 37,
  ArrowRight: 39,
};

async function press(send: Send, key: string): Promise<void> {
  const text = key === ' ' ? ' ' : key === 'Enter' ? '\r' : undefined;
  const about = { key, code: key === ' ' ? 'Space' : key, windowsVirtualKeyCode: KEY_CODES[key] };
  await send('Input.dispatchKeyEvent', { type: 'keyDown', ...about, ...(text && { text }) });
  await send('Input.dispatchKeyEvent', { type: 'keyUp', ...about });
}
