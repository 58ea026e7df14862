/**
 * Prolongs a lock that is still ours.
 *
 * KEYS[1] the lock · ARGV[1] our token, ARGV[2] its new life in milliseconds · returns 1 if it is ours, else 0
 */
export const RENEW_LOCK = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`;
