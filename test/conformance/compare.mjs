/** What a run through the gateway has lost against the same suite, asked directly. */
import { failures } from './suites.mjs';

/** @typedef {import('./suites.mjs').Run} Run */
/** @typedef {import('./suites.mjs').Scenario} Scenario */

/**
 * The suite calls a scenario passed when no check failed, so one whose checks did not come about passes too. Here each check
 * that succeeded directly has to succeed again, or the suite itself has to say that it does not apply (INFO): a server may
 * answer without an event stream, and the gateway has no reason to close its client's stream when the server closes its own.
 *
 * @param {Run} direct
 * @param {Run} through
 * @returns {string[]} a line for each loss
 */
export function losses(direct, through) {
  const lost = direct.scenarios.flatMap((scenario) => {
    const found = through.scenarios.find(({ name }) => name === scenario.name);
    if (found === undefined) return [`${scenario.name}: was not run`];
    if (scenario.passed && !found.passed) return [`${scenario.name}: ${failures(found).join('; ') || 'did not end'}`];
    return lostChecks(scenario, found);
  });
  return through.unfinished === undefined ? lost : [...lost, `the suite did not finish, ${through.unfinished}`];
}

/** @param {Scenario} direct @param {Scenario} through */
function lostChecks(direct, through) {
  const succeeded = direct.checks.filter(({ status }) => status === 'SUCCESS').map(({ id }) => id);
  return [...new Set(succeeded)].flatMap((id) => {
    const before = succeeded.filter((one) => one === id).length;
    const again = through.checks.filter((check) => check.id === id);
    const good = again.filter(({ status }) => ['SUCCESS', 'INFO'].includes(status)).length;
    if (good >= before) return [];
    const now = again.map(({ status, errorMessage }) => `${status} ${errorMessage ?? ''}`.trim()).join('; ');
    return [`${direct.name}: ${id}, good ${before} times, is now: ${now || 'not checked'}`];
  });
}
