-- Notifications of alarms to webhooks, Alertmanagers and mailboxes; see src/notifications/notifications.ts.
CREATE TABLE notification_targets (
  id text PRIMARY KEY,
  -- Of who has created it; '': all tenants.
  tenant text NOT NULL,
  version integer NOT NULL,
  -- As src/notifications/target.ts has them, secrets included.
  settings jsonb NOT NULL,
  changed_by text NOT NULL,
  changed_ms double precision NOT NULL,
  -- Why nothing is sent until the next change: the target has answered that it is gone. '': it has not.
  gone text NOT NULL DEFAULT '',
  -- Which process sends: one at a time, or the order of a target would be lost.
  worker text NOT NULL DEFAULT '',
  worker_until_ms double precision NOT NULL DEFAULT 0,
  -- Nothing is sent before, because the last attempt has failed.
  retry_ms double precision NOT NULL DEFAULT 0
);

CREATE TABLE notification_routes (
  id text PRIMARY KEY,
  tenant text NOT NULL,
  version integer NOT NULL,
  -- As src/notifications/route.ts has them.
  settings jsonb NOT NULL,
  changed_by text NOT NULL,
  changed_ms double precision NOT NULL
);

-- What was, is and will be sent.
CREATE TABLE notifications (
  target text NOT NULL REFERENCES notification_targets (id) ON DELETE CASCADE,
  -- ID of the transition: it is sent once, however often the log delivers it.
  transition text NOT NULL,
  position bigint GENERATED ALWAYS AS IDENTITY,
  -- Rule and device.
  alarm_key text NOT NULL,
  notice jsonb NOT NULL,
  created_ms double precision NOT NULL,
  due_ms double precision NOT NULL,
  -- Whether quiet hours delay it.
  is_held boolean NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  -- dropped: it was held, and the alarm has returned before the end of the quiet hours. dead: given up, with the error.
  state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'dropped', 'dead')),
  finished_ms double precision,
  error text NOT NULL DEFAULT '',
  PRIMARY KEY (target, transition)
);

CREATE INDEX notifications_waiting ON notifications (target, position) WHERE state = 'waiting';
CREATE INDEX notifications_dead ON notifications (position) WHERE state = 'dead';
CREATE INDEX notifications_alarm ON notifications (target, alarm_key);
CREATE INDEX notifications_finished ON notifications (finished_ms) WHERE finished_ms IS NOT NULL;

-- Alarms that an Alertmanager receives again: standing ones each minute, resolved ones once.
CREATE TABLE notification_standing (
  target text NOT NULL REFERENCES notification_targets (id) ON DELETE CASCADE,
  alarm_key text NOT NULL,
  -- The last transition that was sent.
  notice jsonb NOT NULL,
  resend_ms double precision NOT NULL,
  PRIMARY KEY (target, alarm_key)
);

CREATE INDEX notification_standing_due ON notification_standing (resend_ms);
CREATE INDEX notification_standing_alarm ON notification_standing (alarm_key);
