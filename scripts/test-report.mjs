// Reads the TAP of a test run line by line and says what a person wants to know: one line a file,
// every failure with its place, every skip with its reason. Works the same on a terminal and in a log.

/** Lines of a failure's diagnosis that are shown. */
const MOST_LINES = 40;

const RESULT = /^(\s*)(ok|not ok) (\d+)(?: - (.*?))?(?: # (SKIP|TODO|time=)(.*))?\s*$/i;

export class TestReport {
  pass = 0;
  fail = 0;
  skip = 0;
  /** Names of the subtests that are open, outermost first; the outermost is the file. */
  #names = [];
  #skips = [];
  #failure;
  #print;

  constructor(print) {
    this.#print = print;
  }

  /** Takes one line of TAP. */
  line(text) {
    if (this.#failure) return this.#diagnose(text);
    const subtest = /^(\s*)# Subtest: (.*)$/.exec(text);
    if (subtest) {
      this.#names.length = depthOf(subtest[1]);
      this.#names.push(subtest[2]);
      return;
    }
    const totals =
      /^# \{ total: \d+(?:, pass: (\d+))?(?:, fail: (\d+))?(?:, skip: (\d+))?.*\}$/.exec(text);
    if (totals) this.#total(totals);
    const result = RESULT.exec(text);
    if (result) this.#result(result);
  }

  /** The skips, said once more at the end so that nobody takes them for passes. */
  end() {
    for (const text of this.#skips) this.#print(`  skipped: ${text}`);
  }

  #total([, pass = 0, fail = 0, skip = 0]) {
    this.pass += Number(pass);
    this.fail += Number(fail);
    this.skip += Number(skip);
  }

  #result([, indent, verdict, , name = '', kind = '', rest = '']) {
    const depth = depthOf(indent);
    const isSubtest = this.#names[depth] === name;
    if (kind.toUpperCase() === 'SKIP')
      this.#skips.push(`${this.#path(depth, name)}: ${rest.trim()}`);
    if (depth === 0) {
      const seconds = kind === 'time=' ? `${(parseFloat(rest) / 1000).toFixed(1)} s` : '';
      this.#print(`  ${verdict === 'ok' ? 'ok    ' : 'FAILED'}  ${name}  ${seconds}`);
    }
    if (verdict === 'not ok' && !isSubtest) {
      this.#failure = { indent, lines: [`    ${this.#path(depth, name)}`] };
    }
  }

  /** Collects the YAML block behind a failure; anything else ends it. */
  #diagnose(text) {
    const { indent, lines } = this.#failure;
    const isBlock = text.startsWith(`${indent}  `) || text.trim() === '';
    if (isBlock && lines.length < MOST_LINES) lines.push(`      ${text.slice(indent.length)}`);
    if (isBlock && text.trim() !== '...') return;
    this.#failure = undefined;
    this.#print(lines.filter((line) => line.trim() !== '').join('\n'));
    if (!isBlock) this.line(text);
  }

  #path(depth, name) {
    return [...this.#names.slice(0, depth), name].join(' › ');
  }
}

function depthOf(indent) {
  return Math.floor(indent.length / 4);
}
