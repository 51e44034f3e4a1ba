import tseslint from 'typescript-eslint';

/** Layers: scripts → lab → { dataplane, topologies }; what a folder may not import. */
const forbidden = (files, patterns) => ({
  files,
  rules: { 'no-restricted-imports': ['error', { patterns }] },
});

export default tseslint.config(
  { ignores: ['build/', 'node_modules/', '.tap/', '**/*.mjs', '**/*.cjs', '**/gen/'] },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_' },
      ],
    },
  },
  {
    // tap's subtests return promises that the parent test awaits by itself.
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-floating-promises': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  forbidden(['dataplane/**/*.ts'], ['**/lab/**', '**/topologies/**', '**/scripts/**']),
  forbidden(['topologies/**/*.ts'], ['**/lab/**', '**/dataplane/**', '**/scripts/**']),
  forbidden(['lab/**/*.ts'], ['**/scripts/**']),
);
