-- table core.t: id bigint not null, n integer, at timestamp not null, tz timestamptz, d date, j json; key id
-- api sessions
-- api per_session
-- api of_dates
-- api of_query
CREATE VIEW sessions AS SELECT * FROM session(core.t, at, interval '10 minutes', n);
CREATE VIEW per_session AS SELECT s.n, window_start, window_end, count(*) AS c FROM session(core.t, tz, '1 hour', n) s GROUP BY s.n, window_start, window_end;
CREATE VIEW of_dates AS SELECT a, c, e FROM session((SELECT d, n, id FROM core.t WHERE n > 3), d, '3 days') AS x(a, b, c, s, e);
CREATE VIEW of_query AS WITH w AS (SELECT n + 1 AS m, at FROM core.t) SELECT w.m, window_end FROM session(w, at, '1 day', m) w JOIN core.t ON t.n = w.m;
