CREATE VIEW order_totals AS
  SELECT o.id AS order_id, o.customer_id, c.name AS customer, o.placed_at, l.total, l.lines
  FROM shop.orders o
  JOIN shop.customers c ON c.id = o.customer_id
  JOIN (SELECT order_id, sum(quantity * price) AS total, count(*) AS lines FROM shop.lines GROUP BY order_id) l
    ON l.order_id = o.id;
CREATE INDEX ON order_totals (total DESC);
CREATE INDEX ON order_totals (customer_id, placed_at DESC);
COMMENT ON VIEW order_totals IS 'Orders with what they cost';

CREATE VIEW customer_totals AS
  SELECT c.id AS customer_id, c.name, c.city, count(t.order_id) AS orders, coalesce(sum(t.total), 0) AS spent
  FROM shop.customers c LEFT JOIN order_totals t ON t.customer_id = c.id
  GROUP BY c.id;
CREATE INDEX ON customer_totals (spent DESC);
COMMENT ON VIEW customer_totals IS 'Customers, those without an order too';

CREATE VIEW cities AS
  SELECT city, count(*) AS customers, sum(spent) AS spent FROM customer_totals GROUP BY city;
COMMENT ON COLUMN cities.spent IS 'By the customers who live there';
