/**
 * Module hooks for Node 20: the suites import `fs.globSync`, which came with Node 22, for a command that is not used here.
 * They get an empty stand-in for that one name; everything else of `fs` is the real one.
 */
const FS = 'conformance:fs';
const SOURCE = `
export * from 'node:fs';
export { default } from 'node:fs';
export const globSync = () => [];
`;

/** @type {import('node:module').ResolveHook} */
export async function resolve(specifier, context, next) {
  const asked = /^(node:)?fs$/.test(specifier) && /\/node_modules\/conformance-0\d\d\//.test(context.parentURL ?? '');
  return asked ? { url: FS, shortCircuit: true } : next(specifier, context);
}

/** @type {import('node:module').LoadHook} */
export async function load(url, context, next) {
  return url === FS ? { format: 'module', source: SOURCE, shortCircuit: true } : next(url, context);
}
