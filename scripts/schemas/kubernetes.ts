import { jsonSchemaFrom, type Schema } from './openapi.ts';

export type Definitions = Record<string, Schema>;

/** Written as text or number, as `cpu: 1` and `cpu: 500m`. */
const quantity = 'io.k8s.apimachinery.pkg.api.resource.Quantity';

/** One kind of Kubernetes' own with all that it refers to. */
export function schemaFromDefinitions(definitions: Definitions, name: string): Schema {
  const reached = new Map<string, Schema>();
  const reach = (definition: string): string => {
    const short = definition.replace('#/definitions/', '');
    if (!reached.has(short)) {
      reached.set(short, {});
      const part = definitions[short];
      if (part === undefined)
        throw new Error(`there is no definition ${short}; look at the new names in the API's description`);
      reached.set(short, short === quantity ? { type: ['string', 'number'] } : jsonSchemaFrom(part, reach));
    }
    return `#/definitions/${short}`;
  };
  return { $ref: reach(name), definitions: Object.fromEntries(reached) };
}
