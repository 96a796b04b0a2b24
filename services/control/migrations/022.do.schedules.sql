-- Schedules; see src/schedules/schedule.ts.
CREATE TABLE schedules (
  id text PRIMARY KEY,
  -- Of who has created it; '': all tenants.
  tenant text NOT NULL,
  version integer NOT NULL,
  fields jsonb NOT NULL,
  -- Whose rights its runs have: those of who has changed it last.
  requester jsonb NOT NULL,
  changed_by text NOT NULL,
  changed_ms double precision NOT NULL,
  -- The next run: the time that the expression names, and when it starts. Absent: paused, or no more times.
  next_time_ms double precision,
  due_ms double precision,
  -- A run that waits for the one before.
  queued_time_ms double precision,
  -- The last runs that were not started: first, last, reason; the newest first.
  skipped jsonb NOT NULL DEFAULT '[]'
);

CREATE INDEX schedules_due ON schedules (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX schedules_queued ON schedules (id) WHERE queued_time_ms IS NOT NULL;
