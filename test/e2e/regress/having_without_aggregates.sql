-- HAVING makes one group of a query that has neither GROUP BY nor aggregates, also over no rows.
-- schema
CREATE TABLE core.t (
  id integer PRIMARY KEY
);
-- step
INSERT INTO core.t VALUES (1), (2);
-- step
DELETE FROM core.t;
-- view one
SELECT 1 AS one FROM core.t HAVING true
-- view none
SELECT 1 AS one FROM core.t HAVING false
-- view joined
SELECT t.id, q.one FROM core.t t FULL JOIN (SELECT 1 AS one FROM core.t HAVING true) q ON q.one = t.id
