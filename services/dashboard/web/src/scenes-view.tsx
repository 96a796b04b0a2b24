import { type Signal, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { type ControlAnswer, requestControl } from './control-api.ts';
import { shownAge, shownTime } from './format.ts';
import { usePage } from './page.ts';
import {
  notDoneText,
  runText,
  type Scene,
  type SceneParameter,
  type SceneRun,
  type Schedule,
  sceneTitle,
  sceneValuesFrom,
  shownRun,
} from './scenes-api.ts';
import { SectionHead } from './section-head.tsx';

/** Runs are requested this often while one is active, and otherwise, ms. */
const activeEveryMs = 500;
const idleEveryMs = 3_000;
/** Scenes and schedules, which people change now and then, ms. */
const scenesEveryMs = 15_000;
const runsLimit = 8;

interface Loaded {
  readonly scenes: readonly Scene[];
  readonly schedules: readonly Schedule[];
}

/** Scenes with a button each, and their last runs. */
export function ScenesView(): JSX.Element {
  const { live } = usePage();
  const loaded = useSignal<Loaded | undefined>(undefined);
  const runs = useSignal<readonly SceneRun[]>([]);
  const error = useSignal<string | undefined>(undefined);
  const refresh = useSignal(0);
  useEffect(() => {
    const load = async () => {
      const scenes = await requestControl<{ scenes: readonly Scene[] }>(live, 'GET', '/v1/scenes');
      const schedules = await requestControl<{ schedules: readonly Schedule[] }>(live, 'GET', '/v1/schedules');
      const reason = 'error' in scenes ? scenes.error : 'error' in schedules ? schedules.error : undefined;
      error.value = reason;
      if ('body' in scenes && 'body' in schedules) loaded.value = { ...scenes.body, ...schedules.body };
    };
    void load();
    const timer = setInterval(() => void load(), scenesEveryMs);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => pollRuns(() => requestRuns(live, runs)), [refresh.value]);
  const changed = () => {
    refresh.value++;
  };
  return (
    <main class="view" aria-label="Scenes">
      <SectionHead title="Scenes" />
      <div class="scenes">
        {error.value !== undefined && (
          <p class="refusal" role="alert">
            {error.value}
          </p>
        )}
        <Cards loaded={loaded.value} runs={runs.value} onRun={changed} />
        {runs.value.length > 0 && <Runs runs={runs.value} loaded={loaded.value} onChanged={changed} />}
      </div>
    </main>
  );
}

/** Requests the runs until the returned function is called: more often while one is active. */
function pollRuns(request: () => Promise<boolean>): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isStopped = false;
  const poll = async () => {
    const isActive = document.visibilityState === 'hidden' ? false : await request();
    if (!isStopped) timer = setTimeout(() => void poll(), isActive ? activeEveryMs : idleEveryMs);
  };
  void poll();
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}

/** Resolves with whether a run is active. */
async function requestRuns(
  live: Parameters<typeof requestControl>[0],
  runs: Signal<readonly SceneRun[]>,
): Promise<boolean> {
  const path = `/v1/scene-runs?limit=${runsLimit}`;
  const answer = await requestControl<{ runs: readonly SceneRun[] }>(live, 'GET', path);
  if ('body' in answer) runs.value = answer.body.runs;
  return runs.value.some(({ final }) => !final);
}

function Cards({
  loaded,
  runs,
  onRun,
}: {
  loaded: Loaded | undefined;
  runs: readonly SceneRun[];
  onRun: () => void;
}): JSX.Element {
  if (loaded === undefined) return <p class="nothing">Waiting for the scenes…</p>;
  if (loaded.scenes.length === 0)
    return <p class="nothing">No scene yet. Engineers create them over the API of control.</p>;
  return (
    <ul class="scene-cards">
      {loaded.scenes.map((scene) => (
        <SceneCard
          key={scene.id}
          scene={scene}
          title={sceneTitle(scene.id, loaded.scenes)}
          runs={runs.filter((run) => run.scene === scene.id)}
          schedules={loaded.schedules.filter((schedule) => schedule.scene === scene.id)}
          onRun={onRun}
        />
      ))}
    </ul>
  );
}

function SceneCard({
  scene,
  title,
  runs,
  schedules,
  onRun,
}: {
  scene: Scene;
  title: string;
  runs: readonly SceneRun[];
  schedules: readonly Schedule[];
  onRun: () => void;
}): JSX.Element {
  const { live } = usePage();
  const error = useSignal<string | undefined>(undefined);
  const isBusy = useSignal(false);
  /** The run that this page has started last; the list of runs may not have it yet. */
  const started = useSignal<SceneRun | undefined>(undefined);
  const shown = shownRun(runs, started.value);
  const run = async (event: SubmitEvent) => {
    event.preventDefault();
    isBusy.value = true;
    const params = sceneValuesFrom(scene.parameters, new FormData(event.currentTarget as HTMLFormElement));
    // A request that is sent twice is one run.
    const body = { id: crypto.randomUUID(), params };
    const answer = await requestControl<SceneRun>(live, 'POST', `/v1/scenes/${scene.id}/run`, body);
    error.value = errorIn(answer);
    if ('body' in answer) started.value = answer.body;
    isBusy.value = false;
    onRun();
  };
  return (
    <li class="scene" data-testid="scene" data-scene={scene.id}>
      <form onSubmit={(event) => void run(event)}>
        <h2>{title}</h2>
        {scene.note !== '' && <p>{scene.note}</p>}
        {Object.entries(scene.parameters).map(([name, parameter]) => (
          <Parameter key={name} id={`${scene.id}-${name}`} name={name} parameter={parameter} />
        ))}
        <div class="run">
          <button type="submit" class="primary" disabled={isBusy.value} aria-label={`Run ${title}`}>
            Run
          </button>
          <p role="status" class={`outcome ${shown?.state ?? ''}`} data-testid="scene-state">
            {shown === undefined ? '' : runText(shown)}
          </p>
          {shown === undefined && scene.confirmation === 'second_person' && (
            <span class="needs">A second person confirms it</span>
          )}
        </div>
        {error.value !== undefined && (
          <p class="refusal" role="alert">
            {error.value}
          </p>
        )}
        {schedules.map((schedule) => (
          <p key={schedule.id} class="schedule">
            {schedule.name}: {schedule.paused ? 'paused' : nextRun(schedule, live.nowMs.peek())}
          </p>
        ))}
      </form>
    </li>
  );
}

function nextRun({ next }: Schedule, nowMs: number): string {
  const [first] = next;
  return first === undefined ? 'no further run' : `next ${shownTime(first, nowMs)}`;
}

function Parameter({ id, name, parameter }: { id: string; name: string; parameter: SceneParameter }): JSX.Element {
  const { type, min, max, unit, description, default: preset } = parameter;
  const words = `${name.replaceAll('_', ' ')}${unit === undefined ? '' : ` (${unit === 'Cel' ? '°C' : unit})`}`;
  const text = preset === undefined ? '' : String(preset);
  return (
    <label title={description} for={id}>
      <span>{words}</span>
      {type === 'number' ? (
        <input
          id={id}
          type="number"
          name={name}
          step="any"
          {...(min === undefined ? {} : { min })}
          {...(max === undefined ? {} : { max })}
          defaultValue={text}
          required={preset === undefined}
        />
      ) : type === 'text' ? (
        <input id={id} name={name} defaultValue={text} required={preset === undefined} />
      ) : (
        <input id={id} type="checkbox" name={name} defaultChecked={preset === true} />
      )}
    </label>
  );
}

function Runs({
  runs,
  loaded,
  onChanged,
}: {
  runs: readonly SceneRun[];
  loaded: Loaded | undefined;
  onChanged: () => void;
}): JSX.Element {
  const nameOf = (id: string) => sceneTitle(id, loaded?.scenes ?? []);
  return (
    <section aria-labelledby="runs-title">
      <h2 id="runs-title">Last runs</h2>
      <ul class="runs" aria-live="polite">
        {runs.map((run) => (
          <RunRow key={run.id} run={run} name={nameOf(run.scene)} onChanged={onChanged} />
        ))}
      </ul>
    </section>
  );
}

type RunDecision = 'confirm' | 'cancel' | 'undo';

const decisionWords: Readonly<Record<RunDecision, string>> = { confirm: 'Confirm', cancel: 'Cancel', undo: 'Undo' };

function RunRow({ run, name, onChanged }: { run: SceneRun; name: string; onChanged: () => void }): JSX.Element {
  const { live } = usePage();
  const error = useSignal<string | undefined>(undefined);
  const subject = live.claims.value?.subject;
  const isUndo = run.cause === 'undo';
  const decide = async (decision: RunDecision) => {
    const body = decision === 'undo' ? {} : undefined;
    error.value = errorIn(await requestControl(live, 'POST', `/v1/scene-runs/${run.id}/${decision}`, body));
    onChanged();
  };
  const decisions: readonly RunDecision[] = [
    ...(run.state === 'confirming' && run.by !== subject ? (['confirm'] as const) : []),
    ...(run.final ? [] : (['cancel'] as const)),
    ...(!isUndo && ['done', 'partial'].includes(run.state) ? (['undo'] as const) : []),
  ];
  const detail = run.message ?? notDoneText(run);
  return (
    <li data-testid="scene-run" data-scene={run.scene} data-state={run.state} data-cause={run.cause}>
      <strong>{isUndo ? `Undo of ${name}` : name}</strong>
      <span class={`outcome ${run.state}`}>{runText(run)}</span>
      <span class="by">
        {run.by}
        {run.approver === undefined ? '' : `, confirmed by ${run.approver}`}
      </span>
      <span class="since">{shownAge(Math.max(0, live.nowMs.value - run.created))}</span>
      <span class="decisions">
        {decisions.map((decision) => (
          <button
            key={decision}
            type="button"
            class="plain"
            aria-label={`${decisionWords[decision]}: ${name}`}
            onClick={() => void decide(decision)}
          >
            {decisionWords[decision]}
          </button>
        ))}
      </span>
      {detail !== undefined && <p class="detail">{detail}</p>}
      {error.value !== undefined && (
        <p class="refusal" role="alert">
          {error.value}
        </p>
      )}
    </li>
  );
}

function errorIn(answer: ControlAnswer<unknown>): string | undefined {
  return 'error' in answer ? answer.error : undefined;
}
