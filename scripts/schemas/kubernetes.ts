import { jsonSchemaFrom, type Schema } from './openapi.ts';

export type Definitions = Record<string, Schema>;

/** A text or a number, such as `cpu: 1` and `cpu: 500m`. */
const quantity = 'io.k8s.apimachinery.pkg.api.resource.Quantity';

/** Returns the schema of a kind of Kubernetes with all definitions that it refers to. */
export function schemaFromDefinitions(definitions: Definitions, name: string): Schema {
  const reached = new Map<string, Schema>();
  const reach = (definition: string): string => {
    const short = definition.replace('#/definitions/', '');
    if (!reached.has(short)) {
      reached.set(short, {});
      const part = definitions[short];
      if (part === undefined)
        throw new Error(`no definition ${short} in the API's description: it may have another name in this version`);
      reached.set(short, short === quantity ? { type: ['string', 'number'] } : jsonSchemaFrom(part, reach));
    }
    return `#/definitions/${short}`;
  };
  return { $ref: reach(name), definitions: Object.fromEntries(reached) };
}
