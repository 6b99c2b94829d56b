-- table core.docs: id integer not null, big bigint, d date, body jsonb, raw json; key id
CREATE VIEW v1 AS SELECT body[1:2] FROM core.docs;
CREATE VIEW v2 AS SELECT body[d] FROM core.docs;
CREATE VIEW v3 AS SELECT body[big] FROM core.docs;
CREATE VIEW v4 AS SELECT raw['a'] FROM core.docs;
CREATE VIEW v5 AS SELECT jsonb_set(raw, '{a}', '1') FROM core.docs;
CREATE VIEW v6 AS SELECT body['a'][1.5] FROM core.docs;
CREATE VIEW v7 AS SELECT body @? '$.', raw @? '$', body @@ 'exists($)' || '' FROM core.docs;
CREATE VIEW v8 AS SELECT jsonb_path_exists(body, '@'), jsonb_path_match(body, '$.a.datetime(1)') FROM core.docs;
CREATE VIEW v9 AS SELECT '$'::jsonpath = '$'::jsonpath FROM core.docs;
CREATE VIEW v10 AS SELECT '$'::jsonpath AS p, count(*) FROM core.docs GROUP BY 1;
CREATE VIEW v11 AS SELECT id FROM core.docs ORDER BY body::text::jsonpath LIMIT 1;
CREATE VIEW v12 AS SELECT make_date(year => 2020), make_date(year => 1, year => 2, day => 1), make_interval(zz => 1) FROM core.docs;
CREATE VIEW v13 AS SELECT abs(x => 1), make_interval(days => 1, 2), format('%s', VARIADIC ARRAY['a']) FROM core.docs;
