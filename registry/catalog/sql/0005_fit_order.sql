-- SPDX-License-Identifier: Apache-2.0
-- What fits a recipient comes in its order from the index, however much of it has equal figures or
-- none: the first rows are found without a look at the others.

DROP INDEX versions_by_fit;
CREATE INDEX versions_by_fit ON versions (architecture_signature, best_nll, name);
