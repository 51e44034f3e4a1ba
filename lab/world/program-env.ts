/** Variables of the supervisor's own environment that its programs get too. */
const PASSED = [
  'PATH',
  'HOME',
  'LANG',
  'TZ',
  'NODE_OPTIONS',
  'AMBIENT_KERNEL_ADDON',
  'AMBIENT_LAB_NODE',
  'AMBIENT_LAB_PROGRAMS',
  'AMBIENT_LAB_ROOT',
];

/**
 * Environment of a program of the lab: what it needs to start, and nothing that a person's shell
 * happens to hold (a stray XDS_ADDRESS would send ztunnel looking for a control plane).
 */
export function programEnv(own: Readonly<Record<string, string>> = {}): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of PASSED) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return { ...env, ...own };
}
