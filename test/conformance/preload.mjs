/**
 * Loaded into the process of a suite before the suite itself (`node --import`). It lets the suites start on Node 20, and
 * cuts what they wait for an answer that never comes, 60 s a scenario, to PATIENCE_MS. They measure nothing that long.
 */
import fs from 'node:fs';
import { register } from 'node:module';

const PATIENCE_MS = 8_000;

if (!('globSync' in fs)) register('./node20-hooks.mjs', import.meta.url);

const { setTimeout: wait } = globalThis;
/** @param {() => void} callback @param {number} [ms] @param {[]} args */
const impatient = (callback, ms = 0, ...args) => wait(callback, Math.min(ms, PATIENCE_MS), ...args);
Object.assign(globalThis, { setTimeout: Object.assign(impatient, wait) });
