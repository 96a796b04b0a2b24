import { shown } from '@tailrace/protocol/error';

/** What a message may name in braces, such as `{value}`, and `{context.speed}` for a tag of the rule's context. */
export const placeholders = ['device', 'rule', 'tag', 'value', 'unit', 'limit', 'limitValue', 'priority'] as const;

export type Placeholder = (typeof placeholders)[number];

export type MessageValues = Readonly<Record<Placeholder, string>>;

/** What stands for a value that is unknown. */
const unknownText = '?';

/** Returns why the template is invalid; undefined if it is valid. */
export function invalidMessageReason(template: string, context: readonly string[]): string | undefined {
  for (const [text, name] of placeholdersIn(template)) {
    if (name.startsWith('context.')) {
      if (!context.includes(name.slice('context.'.length)))
        return `expected {context.<tag>} with a tag of the context of the rule, got ${shown(text)}`;
    } else if (!(placeholders as readonly string[]).includes(name)) {
      return `expected placeholders of ${placeholders.map((each) => `{${each}}`).join(' ')}, got ${shown(text)}`;
    }
  }
  return undefined;
}

/** Returns the message of a valid template. */
export function messageFrom(
  template: string,
  values: MessageValues,
  contextValue: (tag: string) => string | undefined,
): string {
  return template.replaceAll(/\{([^{}]*)\}/g, (_, name: string) =>
    name.startsWith('context.')
      ? (contextValue(name.slice('context.'.length)) ?? unknownText)
      : values[name as Placeholder] || unknownText,
  );
}

function placeholdersIn(template: string): readonly (readonly [text: string, name: string])[] {
  return [...template.matchAll(/\{([^{}]*)\}/g)].map(([text, name]) => [text, name ?? ''] as const);
}
