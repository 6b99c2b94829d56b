-- table core.a: id integer not null, x integer, y bigint, name text, j json, jb jsonb; key id
-- table core.bag: k integer, t varchar(10)
-- api latest
-- api page
-- api ties
-- api first_of
-- api first_of_bag
-- api of_groups
-- api of_union
-- api filtered_partition
-- api lateral_top
-- api no_effect
-- api on_one_shard
-- api distinct_top
CREATE VIEW latest AS SELECT id, name FROM core.a ORDER BY x DESC, id LIMIT 10;
CREATE VIEW page AS SELECT id, name FROM core.a ORDER BY name NULLS FIRST OFFSET 20 ROWS;
CREATE VIEW ties AS SELECT id, x FROM core.a ORDER BY 2 DESC NULLS LAST OFFSET 5 FETCH FIRST 3 ROWS WITH TIES;
CREATE VIEW first_of AS SELECT DISTINCT ON (x) x, id, name FROM core.a ORDER BY x, y DESC;
CREATE VIEW first_of_bag AS SELECT DISTINCT ON (k) k, t FROM core.bag ORDER BY k, t DESC LIMIT 7;
CREATE VIEW of_groups AS SELECT x, count(*) AS n FROM core.a GROUP BY x ORDER BY sum(y) DESC, n LIMIT 3;
CREATE VIEW of_union AS SELECT id AS i FROM core.a UNION ALL SELECT k FROM core.bag ORDER BY i LIMIT 3;
CREATE VIEW filtered_partition AS SELECT * FROM (SELECT DISTINCT ON (x) x, y FROM core.a ORDER BY x, y) s WHERE x > 3 AND y > 4;
CREATE VIEW lateral_top AS SELECT b.k, s.id FROM core.bag b, LATERAL (SELECT id FROM core.a WHERE a.x = b.k ORDER BY y DESC LIMIT 2) s;
CREATE VIEW no_effect AS SELECT id FROM core.a ORDER BY x LIMIT ALL;
CREATE VIEW on_one_shard AS SELECT * FROM (SELECT id, x FROM core.a ORDER BY x LIMIT 9) s ORDER BY id LIMIT 4;
CREATE VIEW distinct_top AS SELECT DISTINCT x, name FROM core.a ORDER BY name LIMIT 4;
