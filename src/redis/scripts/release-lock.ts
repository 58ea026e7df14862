/**
 * Gives a lock back that is still ours.
 *
 * KEYS[1] the lock · ARGV[1] our token · returns 1 if it was ours, else 0
 */
export const RELEASE_LOCK = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return 1`;
