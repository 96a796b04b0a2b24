import manifest from '../../../package.json' with { type: 'json' };

/** Of Tailrace, from the one place that has it: the package.json of the project. */
export const version: string = manifest.version;
