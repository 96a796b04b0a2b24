-- Commands and their states; see src/commands/command.ts.
CREATE TABLE commands (
  id text PRIMARY KEY,
  -- Order of acceptance; commands of one device are sent in it.
  position bigint GENERATED ALWAYS AS IDENTITY,
  sender text NOT NULL,
  key text NOT NULL,
  device text NOT NULL,
  via text NOT NULL,
  name text NOT NULL,
  params jsonb NOT NULL,
  qos smallint NOT NULL,
  deadline_ms double precision NOT NULL,
  accepted_ms double precision NOT NULL,
  fence bigint NOT NULL,
  replaces boolean NOT NULL,
  approver text NOT NULL DEFAULT '',
  traceparent text NOT NULL,
  state text NOT NULL,
  awaits text NOT NULL,
  is_final boolean NOT NULL,
  number integer NOT NULL,
  changed_ms double precision NOT NULL,
  code text NOT NULL DEFAULT '',
  message text NOT NULL DEFAULT '',
  confirmed_by text NOT NULL DEFAULT '',
  value_before jsonb,
  value_after jsonb,
  -- Set and committed before the command is requested of an ingest node: from then on it may have been sent.
  is_requested boolean NOT NULL DEFAULT false,
  -- The ingest node of the last request; '' for any.
  node text NOT NULL DEFAULT '',
  -- Who requested to cancel it while it was requested of a node; '' for nobody.
  cancel_by text NOT NULL DEFAULT '',
  -- The process that works on it, and when another one may.
  worker text NOT NULL DEFAULT '',
  due_ms double precision NOT NULL,
  UNIQUE (sender, key)
);

CREATE INDEX commands_due ON commands (due_ms) WHERE NOT is_final;
-- The device whose session receives the command.
CREATE INDEX commands_awaiting ON commands ((CASE WHEN via = '' THEN device ELSE via END)) WHERE awaits = 'device';
CREATE INDEX commands_open ON commands (device, position) WHERE NOT is_final;
CREATE INDEX commands_device ON commands (device text_pattern_ops, position);
CREATE INDEX commands_final ON commands (changed_ms) WHERE is_final;
CREATE INDEX commands_position ON commands (position);

CREATE TABLE command_transitions (
  command text NOT NULL REFERENCES commands (id) ON DELETE CASCADE,
  number integer NOT NULL,
  state text NOT NULL,
  awaits text NOT NULL,
  at_ms double precision NOT NULL,
  code text NOT NULL,
  message text NOT NULL,
  is_final boolean NOT NULL,
  PRIMARY KEY (command, number)
);

-- Of each command one final transition at most, whatever a program does.
CREATE UNIQUE INDEX command_transitions_final ON command_transitions (command) WHERE is_final;
