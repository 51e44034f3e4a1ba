import { keepHeapSmall } from '../kernel/heap.ts';
import { raiseFileLimit } from '../kernel/process.ts';
import { ConfigError } from './config-error.ts';
import { loadConfig, type ZtunnelConfig } from './config.ts';
import { Logger, nowUs } from './log.ts';
import { runZtunnel } from './ztunnel.ts';

const VERSION = 'version.BuildInfo{Version:"ambient-lab", BuildProfile:"release"}';

const HELP = `ztunnel: the node proxy of Istio's ambient mode
usage: ztunnel [proxy|version|help]
Settings come from the environment; see README.md beside this program.
`;

keepHeapSmall();
/** Settles when the proxy has ended. */
export const finished = main(process.argv[2] ?? 'proxy').then((exitCode) => {
  process.exitCode = exitCode;
});

async function main(command: string): Promise<number> {
  switch (command) {
    case 'proxy':
      return proxy();
    case 'version':
      process.stdout.write(`${VERSION}\n`);
      return 0;
    case 'help':
      process.stdout.write(HELP);
      return 0;
    default:
      process.stderr.write(`Cannot run "${command}": proxy, version or help is wanted\n`);
      return 1;
  }
}

async function proxy(): Promise<number> {
  let config: ZtunnelConfig;
  try {
    config = loadConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
  using log = new Logger({
    format: config.logFormat,
    filter: config.logFilter,
    write: (text) => process.stdout.write(text),
    nowUs,
  });
  log.info('ztunnel', `version: ${VERSION}`);
  const limit = raiseFileLimit();
  log.info('ztunnel', `set file descriptor limits to ${limit}`);
  logPanics(log);
  try {
    const shutdown = new AbortController();
    handleSignals(shutdown, log);
    await runZtunnel({ config, log, shutdown });
    return 0;
  } catch (error) {
    log.error('ztunnel', error instanceof Error ? error.message : String(error));
    return 1;
  } finally {
    log.flush();
    // Whatever a peer still holds open must not keep the process.
    setImmediate(() => process.exit());
  }
}

/** A fault in the code of one connection must not end those of a whole node. */
function logPanics(log: Logger): void {
  const panic = (error: unknown): void => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log.error('panic', 'unexpected fault', { error: text });
  };
  process.on('uncaughtException', panic);
  process.on('unhandledRejection', panic);
}

function handleSignals(shutdown: AbortController, log: Logger): void {
  let interrupts = 0;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (signal === 'SIGINT' && ++interrupts > 1) {
        log.flush();
        process.exit(0);
      }
      log.info('signal::imp', `received signal ${signal}, starting shutdown`);
      shutdown.abort();
    });
  }
}
