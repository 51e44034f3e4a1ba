/** One member of a set with the uid of the pod it is there for. */
export interface SetMember {
  readonly address: string;
  readonly uid: string;
}
