import manifest from '../../../package.json' with { type: 'json' };

/** The version of Tailrace, from the package.json of the project. */
export const version: string = manifest.version;
