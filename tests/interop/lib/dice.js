// Chance that can be repeated: all of it comes from one seed, ORB_CHAOS_SEED, or a new one each time.
'use strict';

const SEED = Number(process.env.ORB_CHAOS_SEED) || Math.floor(Math.random() * 1e9);

/** The dice number `n` of the seed: mulberry32. */
class Dice {
  constructor(n, seed = SEED) { this.state = Math.imul(seed, 0x9E3779B1) + Math.imul(n + 1, 0x85EBCA6B) | 0; }

  /** From 0 up to 1. */
  next() {
    this.state = this.state + 0x6D2B79F5 | 0;
    let t = Math.imul(this.state ^ this.state >>> 15, this.state | 1);
    t ^= t + Math.imul(t ^ t >>> 7, t | 61);
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  }

  chance(p) { return this.next() < p; }
  /** A whole number, both ends included. */
  between(from, to) { return from + Math.floor(this.next() * (to - from + 1)); }
  /** A whole number below `to`, rather a small one. */
  early(to) { return Math.floor(this.next() ** 2 * to); }
  pick(list) { return list[this.between(0, list.length - 1)]; }
  shuffle(list) { return list.map((one) => [this.next(), one]).sort(([a], [b]) => a - b).map(([, one]) => one); }
}

module.exports = { Dice, SEED };
