-- SPDX-License-Identifier: Apache-2.0
-- Where the line of the publish entry begins in the log, and what could not be read when it was
-- entered: then only name, version and manifest are known.

ALTER TABLE versions ADD COLUMN log_offset INTEGER;
ALTER TABLE versions ADD COLUMN damage TEXT;
