import { Initial1763720000000 } from './1763720000000-initial.js';
import { Refresh1764070000000 } from './1764070000000-refresh.js';

/** In order. Additive for one version, so that a rolling restart can have two versions on one schema. */
export const MIGRATIONS = [Initial1763720000000, Refresh1764070000000];
