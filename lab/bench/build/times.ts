/** What building and removing once took. */
export interface Times {
  readonly buildMs: number;
  /** Until the kernel has freed every namespace and link, too. */
  readonly removeMs: number;
}
