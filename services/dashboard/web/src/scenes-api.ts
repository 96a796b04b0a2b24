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

/** Returns the state of a run with its steps, as `done 8/8`. */
export function runText({ state, steps }: Pick<SceneRun, 'state' | 'steps'>): string {
  const done = steps.filter((step) => step.state === 'done').length;
  return steps.length === 0 ? runStateWord(state) : `${runStateWord(state)} ${done}/${steps.length}`;
}

/** Returns the name of a scene, with its ID if another one has the same name. */
export function sceneTitle(id: string, scenes: readonly Pick<Scene, 'id' | 'name'>[]): string {
  const name = scenes.find((scene) => scene.id === id)?.name ?? id;
  return scenes.some((scene) => scene.id !== id && scene.name === name) ? `${name} (${id})` : name;
}

/**
 * Returns the run that is shown beside the button of a scene: the one that the page has `started` as the list has it,
 * else one that is active, also of another person. `runs`: those of the scene, the newest first.
 */
export function shownRun(runs: readonly SceneRun[], started: SceneRun | undefined): SceneRun | undefined {
  const known = runs.find(({ id }) => id === started?.id);
  return known ?? started ?? runs.find(({ final, cause }) => !final && cause !== 'undo');
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
