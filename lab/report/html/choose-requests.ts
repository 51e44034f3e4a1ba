import type { Path, RunFacts } from '../../facts/facts.ts';
import type { ScenarioVerdict } from '../../judge/verdict.ts';
import type { RequestView } from './ladder-section.ts';

export interface ChosenRequests {
  readonly shown: readonly RequestView[];
  /** Requests that have no ladder on the page. */
  readonly leftOut: number;
}

/** Ladders on one page; more would make it slow to open. */
const MOST_REQUESTS = 60;
/** Of one scenario: the first request, and such as went otherwise. */
const MOST_OF_A_SCENARIO = 3;

/** Which requests get a ladder: of each scenario the first and those that are not like it. */
export function chooseRequests(
  facts: RunFacts,
  scenarios: readonly ScenarioVerdict[],
): ChosenRequests {
  const views = scenarios.flatMap((scenario, at) => viewsOf(facts, scenario, at));
  const judged = new Set(scenarios.flatMap(({ paths }) => paths));
  const others = facts.paths.flatMap((path, index) =>
    judged.has(index) ? [] : [{ id: `request-x${index}`, name: path.request.name, path }],
  );
  const shown = [...views, ...others].slice(0, MOST_REQUESTS);
  return { shown, leftOut: facts.paths.length - shown.length };
}

function viewsOf(facts: RunFacts, scenario: ScenarioVerdict, at: number): readonly RequestView[] {
  const paths = scenario.paths.flatMap((index) => facts.paths[index] ?? []);
  const [first, ...rest] = paths;
  if (first === undefined) return [];
  const unlike = rest.filter((path) => shapeOf(path) !== shapeOf(first));
  const chosen = [first, ...unlike.slice(0, MOST_OF_A_SCENARIO - 1)];
  const more = paths.length - chosen.length;
  return chosen.map((path, index) => ({
    id: `request-${at}-${index}`,
    name: index === 0 ? scenario.name : `${scenario.name} (a request that went otherwise)`,
    path,
    ...(index === 0 && { scenario }),
    ...(index === 0 &&
      more > 0 && {
        note: `and ${more} more, ${unlike.length === 0 ? 'all like this one' : `${unlike.length} of all not like this one`}`,
      }),
  }));
}

/** What makes two requests alike for a reader: answer, and the ends and kinds of the legs. */
function shapeOf({ request, legs }: Path): string {
  const ways = legs.map(
    ({ from, to, encapsulation }) => `${from.name} ${to.name} ${to.node} ${encapsulation}`,
  );
  return [request.status ?? request.outcome, ...ways].join('|');
}
