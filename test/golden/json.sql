-- table core.docs: id integer not null, n integer, s smallint, k text, vc varchar(5), body jsonb; key id
-- api taken
-- api edited
CREATE VIEW taken AS SELECT id, body['a'] AS a, body['a'][0]['b'] AS b, body[n] AS c, body[k][s] AS d, body[vc][1 + n] AS e, (body -> 'x')['y'] AS f, body['a'][0] = '1' AS g FROM core.docs;
CREATE VIEW edited AS SELECT id, jsonb_set(body, '{a,0}', '1') AS a, jsonb_set(body, ARRAY['a', k], to_jsonb(n), false) AS b, body - '{a,b}'::text[] AS c, body #- '{a,0}' AS d, jsonb_insert(body, '{a,-1}', '{}', true) AS e, jsonb_set_lax(body, '{a}', to_jsonb(n), true, 'delete_key') AS f, jsonb_object('{a,1}') AS g FROM core.docs;
-- api pathed
CREATE VIEW pathed AS SELECT id, body @? '$.a[*] ? (@ > 1)' AS a, body @@ '$.a == 1' AS b, jsonb_path_query_array(body, '$.**', jsonb_build_object('x', n)) AS c, jsonb_path_query_first(body, k::jsonpath) AS d, jsonb_path_match(body, 'exists($.a)', '{}', true) AS e, 'strict $.a'::jsonpath AS f, ('$.' || k)::jsonpath::text AS g FROM core.docs WHERE jsonb_path_exists(body, '$.a');
-- api queried
-- api named
CREATE VIEW queried AS SELECT d.id, q.v, count(*) AS n FROM core.docs d, jsonb_path_query(d.body, '$.a[*] ? (@ > $x)', jsonb_build_object('x', d.n)) q (v) GROUP BY 1, 2;
CREATE VIEW named AS SELECT id, make_interval(1, days => n, hours => 2) AS a, jsonb_path_exists(body, silent => true, path => '$.a') AS b, jsonb_set(body, '{a}', replacement => '1') AS c, concat(VARIADIC ARRAY[k, vc]) AS d, concat_ws('-', VARIADIC ARRAY[k, vc]) AS e, jsonb_extract_path(body, VARIADIC ARRAY[k]) AS f FROM core.docs;
