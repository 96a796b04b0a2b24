-- Scenes by alarm; see src/triggers/trigger.ts.
CREATE TABLE triggers (
  id text PRIMARY KEY,
  -- Of who has created it; '': all tenants.
  tenant text NOT NULL,
  version integer NOT NULL,
  fields jsonb NOT NULL,
  is_paused boolean NOT NULL,
  -- Whose rights its runs have: those of who has changed it last.
  requester jsonb NOT NULL,
  changed_by text NOT NULL,
  -- Alarms from before do not start a run.
  changed_ms double precision NOT NULL,
  -- When its last run was started, for the cooldown.
  started_ms double precision,
  -- The last alarms that started no run: reason, count, first, last; the newest first.
  skipped jsonb NOT NULL DEFAULT '[]'
);

ALTER TABLE scene_runs
  ADD COLUMN trigger_id text,
  -- The alarm that has started it: its ID, device and rule.
  ADD COLUMN alarm jsonb;

CREATE INDEX scene_runs_trigger ON scene_runs (trigger_id) WHERE NOT is_final AND trigger_id IS NOT NULL;
