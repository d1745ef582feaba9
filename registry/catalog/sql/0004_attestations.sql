-- SPDX-License-Identifier: Apache-2.0
-- What is stated of a version is attached to it as signatures are, and is none of them.

ALTER TABLE signatures ADD COLUMN attestation INTEGER NOT NULL DEFAULT 0;
