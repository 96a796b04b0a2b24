export const seedMax = 2 ** 32 - 1;
export const seedsMax = 10_000_000;
export const threadsMax = 256;
