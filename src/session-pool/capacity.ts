import { type PoolCaps } from './bounded-pool.types.js';

/** The cap that keeps another resource from being opened. */
export type Shortage = 'total' | 'group' | 'keys';

/** Slots in use, counted by each cap at once. Whoever takes one does so before his first await (STYLE rule 7). */
export class Capacity {
  total = 0;
  private keys = 0;
  private readonly groups = new Map<string, number>();

  constructor(private readonly caps: Pick<PoolCaps, 'maxTotal' | 'maxPerGroup' | 'maxKeys'>) {}

  /** @param keyIsNew whether the key holds no resource yet */
  shortage(group: string, keyIsNew: boolean): Shortage | undefined {
    const { maxTotal, maxPerGroup, maxKeys } = this.caps;
    if (this.total >= maxTotal) return 'total';
    if ((this.groups.get(group) ?? 0) >= maxPerGroup) return 'group';
    return keyIsNew && maxKeys > 0 && this.keys >= maxKeys ? 'keys' : undefined;
  }

  take(group: string, keyIsNew: boolean): void {
    this.total += 1;
    this.groups.set(group, (this.groups.get(group) ?? 0) + 1);
    if (keyIsNew) this.keys += 1;
  }

  giveBack(group: string, keyIsEmpty: boolean): void {
    this.total -= 1;
    const left = (this.groups.get(group) ?? 1) - 1;
    if (left > 0) this.groups.set(group, left);
    else this.groups.delete(group);
    if (keyIsEmpty) this.keys -= 1;
  }
}
