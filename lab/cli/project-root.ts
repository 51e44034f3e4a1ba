/** Where the project stands, wherever the program runs from: bootstrap says it, else it is here. */
export function projectRoot(): string {
  return process.env['AMBIENT_LAB_ROOT'] ?? process.cwd();
}
