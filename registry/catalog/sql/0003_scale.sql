-- SPDX-License-Identifier: Apache-2.0
-- The newest release of a name without reading the others. `release` orders versions that are no
-- pre-releases as SemVer does: its three numbers, 20 digits each.
-- index.json has no mark here any more: it is written when somebody asks for it.

ALTER TABLE versions ADD COLUMN release TEXT;
CREATE INDEX versions_by_release ON versions (name, release);
