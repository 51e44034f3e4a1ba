import type { AppPlan } from '../plan/plan.ts';
import type { AppObservation } from './lab.ts';

/** What the supervisor orders an app host, over the message channel of the child process. */
export type AppHostOrder =
  | { readonly kind: 'start'; readonly pod: AppPod }
  | { readonly kind: 'stop'; readonly uid: string };

/** One pod whose built-in apps a host serves. */
export interface AppPod {
  readonly uid: string;
  readonly name: string;
  readonly netns: string;
  /** Address its built-in apps listen on: `::` takes both families. */
  readonly listenOn: '0.0.0.0' | '::';
  readonly apps: readonly AppPlan[];
}

/** What an app host reports. */
export type AppHostReport =
  | { readonly kind: 'up' }
  | { readonly kind: 'started'; readonly uid: string }
  | { readonly kind: 'failed'; readonly uid: string; readonly message: string }
  | { readonly kind: 'observed'; readonly observation: AppObservation };
