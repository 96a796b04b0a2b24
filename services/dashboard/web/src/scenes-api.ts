/** A scene as `GET /v1/scenes` has it, as far as the page needs it. */
export interface Scene {
  readonly id: string;
  readonly name: string;
  readonly note: string;
  readonly confirmation: 'none' | 'second_person';
  readonly parameters: Readonly<Record<string, SceneParameter>>;
}

export interface SceneParameter {
  readonly type: 'number' | 'boolean' | 'text';
  readonly default?: number | boolean | string;
  readonly min?: number;
  readonly max?: number;
  readonly unit?: string;
  readonly description?: string;
}

/** A run as `GET /v1/scene-runs` has it, as far as the page needs it. */
export interface SceneRun {
  readonly id: string;
  readonly scene: string;
  readonly state: string;
  readonly final: boolean;
  readonly cause: string;
  readonly by: string;
  readonly approver?: string;
  readonly created: number;
  readonly message?: string;
  readonly steps: readonly { readonly state: string }[];
  readonly notDone: readonly { readonly device: string; readonly state: string }[];
}

/** A schedule as `GET /v1/schedules` has it, as far as the page needs it. */
export interface Schedule {
  readonly id: string;
  readonly name: string;
  readonly scene: string;
  readonly paused: boolean;
  /** Epoch ms. */
  readonly next: readonly number[];
}

const stateWords: Readonly<Record<string, string>> = {
  preparing: 'preparing',
  confirming: 'waits for a second person',
  running: 'running',
  compensating: 'is being reversed',
  done: 'done',
  partial: 'partly done',
  failed: 'failed',
  compensated: 'reversed',
  canceled: 'canceled',
};

/** Returns the words for the state of a run. */
export function runStateWord(state: string): string {
  return stateWords[state] ?? state;
}

/** Returns which devices a finished run has not reached, as a sentence; undefined: none. */
export function notDoneText({ final, notDone }: Pick<SceneRun, 'final' | 'notDone'>): string | undefined {
  if (!final || notDone.length === 0) return undefined;
  const named = notDone.slice(0, 3).map(({ device, state }) => `${device} (${state})`);
  const others = notDone.length - named.length;
  return `Not done: ${named.join(', ')}${others > 0 ? ` and ${others} more` : ''}`;
}

/** Returns the values of a form for the parameters of a scene. Empty fields have the default of the scene. */
export function sceneValuesFrom(
  parameters: Scene['parameters'],
  fields: Pick<FormData, 'get'>,
): Readonly<Record<string, number | boolean | string>> {
  const values: Record<string, number | boolean | string> = {};
  for (const [name, { type }] of Object.entries(parameters)) {
    const text = fields.get(name);
    if (type === 'boolean') values[name] = text !== null;
    else if (typeof text === 'string' && text !== '') values[name] = type === 'number' ? Number(text) : text;
  }
  return values;
}
