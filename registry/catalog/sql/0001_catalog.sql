-- SPDX-License-Identifier: Apache-2.0
-- The catalog: a view of log and blobs that queries can use (schemas/registry.md). A version's id
-- is the index of its publish entry in the log, so a rebuild gives the same rows. Digests are
-- written sha256:<hex>; evaluations hold nats per token.

CREATE TABLE state (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE versions (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  manifest_digest TEXT NOT NULL,
  manifest_size INTEGER NOT NULL,
  organ_digest TEXT NOT NULL,
  organ_size INTEGER NOT NULL,
  published TEXT NOT NULL,
  created TEXT NOT NULL,
  description TEXT NOT NULL,
  license TEXT,
  model_type TEXT NOT NULL,
  architecture_signature TEXT NOT NULL,
  tokenizer_digest TEXT,
  donor_id TEXT NOT NULL,
  donor_revision TEXT,
  donor_config_digest TEXT NOT NULL,
  first_layer INTEGER NOT NULL,
  layer_count INTEGER NOT NULL,
  donor_layer_count INTEGER NOT NULL,
  training_mode TEXT,
  bytes INTEGER NOT NULL,
  best_nll REAL,
  yank_reason TEXT,
  revoke_reason TEXT,
  UNIQUE (name, version)
) STRICT;

-- Which versions fit this recipient, best evaluation first.
CREATE INDEX versions_by_fit ON versions (architecture_signature, best_nll);
CREATE INDEX versions_by_manifest ON versions (manifest_digest);

CREATE TABLE files (
  version_id INTEGER NOT NULL REFERENCES versions (id),
  path TEXT NOT NULL,
  role TEXT NOT NULL,
  size INTEGER NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (version_id, path)
) STRICT, WITHOUT ROWID;

CREATE INDEX files_by_digest ON files (digest);

CREATE TABLE tensors (
  version_id INTEGER NOT NULL REFERENCES versions (id),
  path TEXT NOT NULL,
  name TEXT NOT NULL,
  dtype TEXT NOT NULL,
  shape TEXT NOT NULL,
  PRIMARY KEY (version_id, path, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE architecture_fields (
  version_id INTEGER NOT NULL REFERENCES versions (id),
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (version_id, key)
) STRICT, WITHOUT ROWID;

-- The untouched donor layers a version came from.
CREATE TABLE lineage (
  version_id INTEGER NOT NULL REFERENCES versions (id),
  layer INTEGER NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (version_id, layer)
) STRICT, WITHOUT ROWID;

CREATE INDEX lineage_by_digest ON lineage (digest);

CREATE TABLE evaluations (
  version_id INTEGER NOT NULL REFERENCES versions (id),
  number INTEGER NOT NULL,
  subject TEXT NOT NULL,
  position INTEGER,
  protocol TEXT NOT NULL,
  context INTEGER NOT NULL,
  stride INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  nll REAL NOT NULL,
  perplexity REAL NOT NULL,
  bits_per_byte REAL,
  dataset TEXT NOT NULL,
  dataset_digest TEXT NOT NULL,
  tokenizer_digest TEXT,
  PRIMARY KEY (version_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE signatures (
  version_id INTEGER NOT NULL REFERENCES versions (id),
  manifest_digest TEXT NOT NULL,
  manifest_size INTEGER NOT NULL,
  log_index INTEGER NOT NULL,
  PRIMARY KEY (version_id, manifest_digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE aliases (
  name TEXT NOT NULL,
  alias TEXT NOT NULL,
  version_id INTEGER NOT NULL REFERENCES versions (id),
  log_index INTEGER NOT NULL,
  PRIMARY KEY (name, alias)
) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE texts USING fts5 (name, description, donor, license);
