-- What must hold when a command is submitted and right before it is sent; see src/commands/command-condition.ts.
ALTER TABLE commands
  -- A CEL expression over the last values of the device; '': none.
  ADD COLUMN only_if text NOT NULL DEFAULT '',
  -- By tag, the position of the last value that the sender has seen.
  ADD COLUMN seen jsonb NOT NULL DEFAULT '{}';
