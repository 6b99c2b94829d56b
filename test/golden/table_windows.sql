-- table core.t: id bigint not null, n integer, nums integer[], tags text[], j jsonb, js json, at timestamp not null, tz timestamptz, d date; key id
-- table core.u: id bigint not null, t_id bigint, v integer; key id
-- api tumbling
-- api hopping
-- api tumble_query
-- api tumble_join
-- api hop_with
-- api tumble_key
CREATE VIEW tumbling AS SELECT id, window_start, window_end FROM tumble(core.t, at, interval '10 minutes');
CREATE VIEW hopping AS SELECT window_start, count(*) AS c FROM hop(core.t, tz, '5 minutes', '1 hour') h GROUP BY window_start;
CREATE VIEW tumble_query AS SELECT w.* FROM tumble((SELECT id, d FROM core.t WHERE n > 1), d, interval '7 days', '2024-01-01') w;
CREATE VIEW tumble_join AS SELECT t.id, u.v, window_start FROM tumble(core.t, at, '1 hour') t JOIN core.u u ON u.t_id = t.id;
CREATE VIEW hop_with AS WITH w AS (SELECT id, d FROM core.t) SELECT h.* FROM hop(w, d, '1 day', '7 days') AS h(a, b, c);
CREATE VIEW tumble_key AS SELECT w.id, w.n, w.window_start, count(*) AS c FROM tumble(core.t, at, '1 hour') w JOIN core.u u ON u.t_id = w.id GROUP BY w.id, w.window_start;
