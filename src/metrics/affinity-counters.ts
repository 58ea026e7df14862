/** Counters of session affinity, kept here because pool and affinity both write them (SPEC P-17). */
export class AffinityCounters {
  localHits = 0;
  redisHits = 0;
  misses = 0;
  forwardedRequests = 0;
  forwardedFailures = 0;
  forwardedTimeouts = 0;

  /** Share of look-ups of a mapping that found one; 0 when there was none. */
  get hitRate(): number {
    const hits = this.localHits + this.redisHits;
    return hits + this.misses === 0 ? 0 : hits / (hits + this.misses);
  }

  snapshot() {
    const { localHits, redisHits, misses, hitRate, forwardedRequests, forwardedFailures, forwardedTimeouts } = this;
    return { localHits, redisHits, misses, hitRate, forwardedRequests, forwardedFailures, forwardedTimeouts };
  }
}
