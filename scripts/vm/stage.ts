import { echo } from 'zx';

/** What a recipe has done, in order, with how long it took. */
export class Stages {
  readonly #done: { readonly name: string; readonly seconds: number }[] = [];

  /** Does one thing and writes down its time. */
  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    echo(`\n== ${name}`);
    const from = performance.now();
    const result = await work();
    const seconds = (performance.now() - from) / 1000;
    this.#done.push({ name, seconds });
    echo(`== ${name}: ${seconds.toFixed(1)} s`);
    return result;
  }

  /** One line a stage. */
  table(): string {
    return this.#done
      .map(({ name, seconds }) => `${seconds.toFixed(1).padStart(8)} s  ${name}`)
      .join('\n');
  }
}
