import { afterEach, beforeEach, describe, it } from '@jest/globals';
import { Bench, type ContractCase, type Subject } from './bench.js';
import { cancellingCases } from './cases-cancelling.js';
import { closingCases } from './cases-closing.js';
import { failureCases } from './cases-failures.js';
import { messageCases } from './cases-messages.js';
import { requestCases } from './cases-requests.js';

/** What `Connector` and `UpstreamSession` promise, by subject; each case runs against a server of its own. */
export const CONTRACT: Readonly<Record<string, readonly ContractCase[]>> = {
  requests: requestCases,
  messages: messageCases,
  cancelling: cancellingCases,
  failures: failureCases,
  closing: closingCases,
};

/** Declares the contract's tests for one connector, against real SDK servers (STYLE rule 18). */
export function describeConnectorContract(name: string, subject: Subject): void {
  describe(name, () => {
    let bench: Bench;
    beforeEach(async () => {
      bench = await Bench.open(subject);
    });
    afterEach(() => bench.close());

    describe.each(Object.entries(CONTRACT))('%s', (_part, cases) => {
      for (const one of cases) if (one.appliesTo?.(subject) ?? true) it(one.title, () => one.run(bench));
    });
  });
}
