-- Fleet commands and their devices; see src/fleet/fleet-command.ts.
CREATE TABLE fleet_commands (
  id text PRIMARY KEY,
  -- Order of creation.
  position bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  sender text NOT NULL,
  key text NOT NULL,
  -- SHA-256 of the request, so that a repeated key is the same request.
  content text NOT NULL,
  tenant text NOT NULL,
  -- The smallest pattern that covers its devices.
  scope text NOT NULL,
  -- What was requested: target, command and plan.
  request jsonb NOT NULL,
  -- Whose rights it has.
  requester jsonb NOT NULL,
  -- The second person, who has confirmed it; the person who has canceled it.
  approver jsonb,
  canceler jsonb,
  is_marked boolean NOT NULL,
  devices integer NOT NULL,
  state text NOT NULL,
  is_final boolean NOT NULL DEFAULT false,
  -- Of its last transition, from 1.
  number integer NOT NULL DEFAULT 1,
  message text NOT NULL DEFAULT '',
  -- When the next device may get its command.
  next_ms double precision NOT NULL DEFAULT 0,
  created_ms double precision NOT NULL,
  changed_ms double precision NOT NULL,
  -- When a process is to work on it.
  due_ms double precision NOT NULL,
  -- The process that submits its commands, and until when the others leave it alone.
  claimed_by text NOT NULL DEFAULT '',
  claimed_until_ms double precision NOT NULL DEFAULT 0,
  UNIQUE (sender, key)
);

CREATE INDEX fleet_commands_due ON fleet_commands (due_ms) WHERE NOT is_final;
CREATE INDEX fleet_commands_final ON fleet_commands (changed_ms) WHERE is_final;

CREATE TABLE fleet_command_devices (
  fleet text NOT NULL REFERENCES fleet_commands (id) ON DELETE CASCADE,
  -- Order in which they get their commands, from 1.
  place integer NOT NULL,
  device text NOT NULL,
  via text NOT NULL,
  -- pending, skipped, or the state of its command.
  state text NOT NULL DEFAULT 'pending',
  is_final boolean NOT NULL DEFAULT false,
  command text NOT NULL DEFAULT '',
  code text NOT NULL DEFAULT '',
  message text NOT NULL DEFAULT '',
  -- When its command was submitted for the first time; NULL: never. Not again before `not_before_ms`.
  tried_ms double precision,
  not_before_ms double precision NOT NULL DEFAULT 0,
  changed_ms double precision NOT NULL,
  PRIMARY KEY (fleet, place)
);

CREATE INDEX fleet_command_devices_state ON fleet_command_devices (fleet, state, place);

-- The state of a command of a fleet command is that of its device, in the same transaction: the key of the command is
-- fleet/<fleet command>/<place>. So a device that has a command gets no other one, also after its command is removed,
-- and after a pause or a stop none is accepted, whichever process submits it.
CREATE FUNCTION fleet_command_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  fleet_id text := split_part(NEW.key, '/', 2);
  fleet_state text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT state INTO fleet_state FROM fleet_commands WHERE id = fleet_id AND sender = NEW.sender FOR SHARE;
    IF fleet_state IS NULL THEN
      RETURN NULL;
    END IF;
  END IF;
  UPDATE fleet_command_devices
     SET state = NEW.state, is_final = NEW.is_final, command = NEW.id, code = NEW.code, message = NEW.message,
         changed_ms = NEW.changed_ms
   WHERE fleet = fleet_id AND place = split_part(NEW.key, '/', 3)::integer
     AND CASE WHEN TG_OP = 'INSERT' THEN state = 'pending' AND fleet_state = 'running' AND device = NEW.device
              ELSE command = NEW.id END;
  IF TG_OP = 'INSERT' AND NOT FOUND THEN
    RAISE EXCEPTION 'expected a fleet command that is running and a device that is pending, got % and another one',
      fleet_state USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END;
$$;

CREATE TRIGGER fleet_command_changed AFTER INSERT OR UPDATE OF state, is_final ON commands FOR EACH ROW
  WHEN (NEW.key ~ '^fleet/[0-9A-Za-z-]{1,40}/[0-9]{1,9}$')
  EXECUTE FUNCTION fleet_command_changed();
