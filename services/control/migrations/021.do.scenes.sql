-- Scenes and their runs; see src/scenes/scene.ts and src/scenes/scene-run.ts.
CREATE TABLE scenes (
  id text PRIMARY KEY,
  -- Of who has created it; '': all tenants.
  tenant text NOT NULL,
  version integer NOT NULL,
  fields jsonb NOT NULL,
  changed_by text NOT NULL,
  changed_ms double precision NOT NULL
);

-- Every version of a scene, for the audit and to go back.
CREATE TABLE scene_versions (
  scene text NOT NULL,
  version integer NOT NULL,
  fields jsonb NOT NULL,
  changed_by text NOT NULL,
  changed_ms double precision NOT NULL,
  PRIMARY KEY (scene, version)
);

CREATE TABLE scene_runs (
  id text PRIMARY KEY,
  -- Order of creation.
  position bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  scene text NOT NULL,
  tenant text NOT NULL,
  -- preparing, while it has no plan or snapshot; then a state of scene-run.ts.
  state text NOT NULL,
  is_final boolean NOT NULL DEFAULT false,
  -- What has started it: api, schedule, alarm, undo.
  cause text NOT NULL,
  -- What has requested it, so that a repeated request is the same run; absent: nothing that is repeated.
  run_key text UNIQUE,
  -- Whose rights it has.
  requester jsonb NOT NULL,
  -- Fencing token of the lease that they hold; 0: none.
  lease bigint NOT NULL DEFAULT 0,
  params jsonb NOT NULL,
  -- The second person, who has confirmed the run.
  approver jsonb,
  -- Neither changes once it is there.
  plan jsonb,
  snapshot jsonb,
  -- The other fields of the run, which each event changes.
  progress jsonb,
  -- Why it has failed before its first step.
  code text NOT NULL DEFAULT '',
  message text NOT NULL DEFAULT '',
  created_ms double precision NOT NULL,
  changed_ms double precision NOT NULL,
  -- When a process is to work on it.
  due_ms double precision NOT NULL,
  -- The process that submits its commands, and until when the others leave it alone.
  claimed_by text NOT NULL DEFAULT '',
  claimed_until_ms double precision NOT NULL DEFAULT 0,
  -- The run that it undoes.
  undo_of text,
  schedule text,
  -- The time that the expression of the schedule names.
  schedule_time_ms double precision,
  -- A scheduled time has one run at most, whatever a program does.
  UNIQUE (schedule, schedule_time_ms)
);

CREATE INDEX scene_runs_undo ON scene_runs (undo_of) WHERE undo_of IS NOT NULL;
CREATE INDEX scene_runs_due ON scene_runs (due_ms) WHERE NOT is_final;
CREATE INDEX scene_runs_scene ON scene_runs (scene, position);
CREATE INDEX scene_runs_schedule ON scene_runs (schedule) WHERE NOT is_final;
CREATE INDEX scene_runs_final ON scene_runs (position) WHERE is_final;

-- A command of a scene wakes its run, whichever process has changed the command: the key of the command is
-- scene/<run>/<step>.
CREATE FUNCTION scene_command_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE scene_runs SET due_ms = 0 WHERE id = split_part(NEW.key, '/', 2) AND NOT is_final;
  PERFORM pg_notify('tailrace_scene_runs', split_part(NEW.key, '/', 2));
  RETURN NULL;
END;
$$;

CREATE TRIGGER scene_command_changed AFTER UPDATE OF state ON commands FOR EACH ROW
  WHEN (NEW.key LIKE 'scene/%' AND (NEW.is_final OR NEW.state = 'queued' OR OLD.state = 'queued'))
  EXECUTE FUNCTION scene_command_changed();
