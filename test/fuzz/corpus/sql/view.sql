CREATE VIEW v AS SELECT a.id, a.owner, sum(e.amount) AS s, count(DISTINCT e.day) FILTER (WHERE e.amount > 0)
FROM core.accounts a LEFT JOIN core.entries e ON e.account_id = a.id AND e.day BETWEEN '2020-01-01' AND DATE '2021-01-01'
WHERE a.branch IN (1, 2, 3) GROUP BY a.id HAVING count(*) > 1;
CREATE INDEX ON v (s DESC NULLS LAST, owner);
COMMENT ON COLUMN v.s IS 'sum';
