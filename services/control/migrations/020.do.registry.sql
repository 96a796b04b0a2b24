-- What people know of devices; see src/registry/device.ts.
CREATE TABLE registry_devices (
  id text PRIMARY KEY,
  -- In the order of bytes, as GET /v1/devices has it.
  path text COLLATE "C" NOT NULL UNIQUE,
  name text NOT NULL,
  kind text NOT NULL,
  place text NOT NULL,
  gateway text NOT NULL,
  note text NOT NULL,
  labels jsonb NOT NULL,
  tags jsonb NOT NULL,
  -- In lower case: path, name, kind, place and labels.
  search text NOT NULL,
  state text NOT NULL CHECK (state IN ('active', 'decommissioned')),
  source text NOT NULL,
  version integer NOT NULL,
  created_ms double precision NOT NULL,
  -- When the device got its path.
  path_from_ms double precision NOT NULL,
  first_report_ms double precision,
  last_report_ms double precision
);

CREATE INDEX registry_devices_labels ON registry_devices USING gin (labels jsonb_path_ops);
CREATE INDEX registry_devices_gateway ON registry_devices (gateway) WHERE gateway <> '';

-- To which device a path has belonged, and when.
CREATE TABLE registry_former_paths (
  path text COLLATE "C" NOT NULL,
  device text NOT NULL REFERENCES registry_devices (id) ON DELETE CASCADE,
  from_ms double precision NOT NULL,
  until_ms double precision NOT NULL,
  PRIMARY KEY (path, until_ms, device)
);

CREATE INDEX registry_former_paths_device ON registry_former_paths (device, until_ms);

CREATE TABLE registry_groups (
  id text PRIMARY KEY,
  -- Of who has created it; '': all tenants.
  tenant text NOT NULL,
  version integer NOT NULL,
  fields jsonb NOT NULL
);

-- Which process requests the devices of fanout.
CREATE TABLE registry_surveyor (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  holder text NOT NULL,
  until_ms double precision NOT NULL
);

INSERT INTO registry_surveyor (holder, until_ms) VALUES ('', 0);
