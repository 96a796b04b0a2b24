-- Alarms as the topic of events has them; see src/alarms/alarm-reader.ts. The log is the truth about them.
--
-- How far the events of each partition are stored. A transaction that stores events moves `next` on from the value that
-- its process has read: of two processes that store the same events one does.
CREATE TABLE alarm_positions (
  partition integer PRIMARY KEY,
  -- Of the topic of events; '': nothing was read.
  epoch text NOT NULL DEFAULT '',
  next bigint NOT NULL DEFAULT 0,
  -- Position of the last AlarmOwner before `next`.
  owner bigint NOT NULL DEFAULT 0,
  -- Whether the alarms of the checkpoints are stored that are older than what the topic had.
  is_restored boolean NOT NULL DEFAULT false,
  -- Which process reads.
  holder text NOT NULL DEFAULT '',
  until_ms double precision NOT NULL DEFAULT 0
);

-- The last transition of each rule at each device.
CREATE TABLE alarms (
  device text NOT NULL,
  rule text NOT NULL,
  -- For pages: stays the same as long as the row.
  position bigint GENERATED ALWAYS AS IDENTITY,
  partition integer NOT NULL,
  -- Of the topic of events.
  epoch text NOT NULL,
  number bigint NOT NULL,
  state text NOT NULL,
  priority integer NOT NULL,
  changed_ms double precision NOT NULL,
  activated_ms double precision NOT NULL,
  -- When it was stored, by the clock of control.
  stored_ms double precision NOT NULL,
  -- As src/notifications/alarm-notice.ts has it.
  transition jsonb NOT NULL,
  PRIMARY KEY (device, rule)
);

CREATE UNIQUE INDEX alarms_position ON alarms (position);
CREATE INDEX alarms_current ON alarms (position) WHERE state <> 'normal';
CREATE INDEX alarms_partition ON alarms (partition);
CREATE INDEX alarms_normal ON alarms (stored_ms) WHERE state = 'normal';

CREATE TABLE alarm_transitions (
  position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  epoch text NOT NULL,
  id text NOT NULL,
  device text NOT NULL,
  rule text NOT NULL,
  state text NOT NULL,
  cause text NOT NULL,
  priority integer NOT NULL,
  -- Event time.
  at_ms double precision NOT NULL,
  stored_ms double precision NOT NULL,
  transition jsonb NOT NULL,
  UNIQUE (epoch, id)
);

CREATE INDEX alarm_transitions_device ON alarm_transitions (device text_pattern_ops, position);
CREATE INDEX alarm_transitions_stored ON alarm_transitions (stored_ms);
CREATE INDEX alarm_transitions_raised ON alarm_transitions (at_ms) WHERE cause = 'raised';

-- Actions of people that alarms has refused.
CREATE TABLE alarm_refusals (
  action text PRIMARY KEY,
  device text NOT NULL,
  rule text NOT NULL,
  code text NOT NULL,
  message text NOT NULL,
  stored_ms double precision NOT NULL
);

CREATE INDEX alarm_refusals_stored ON alarm_refusals (stored_ms);
CREATE INDEX alarm_transitions_action ON alarm_transitions ((transition ->> 'action')) WHERE transition ? 'action';
