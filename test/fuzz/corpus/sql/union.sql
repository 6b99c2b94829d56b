CREATE VIEW u AS WITH x (a, b) AS (SELECT id, CASE WHEN total > 1.5 THEN 'x' ELSE owner END FROM core.accounts)
SELECT DISTINCT a, b FROM x UNION ALL SELECT account_id, NULL FROM core.log UNION SELECT 1, coalesce(b, 'y') FROM x;
CREATE VIEW v AS SELECT * FROM u NATURAL FULL JOIN u AS w(a, c);
CREATE VIEW w AS SELECT a || 'x' AS k, extract(year FROM at) FROM v, core.accounts WHERE a = id AND note ->> 'k' IS NOT NULL;
