-- One order, for pgbench.
\set customer random(1, 2000)
\set product random(1, 500)
\set quantity random(1, 5)
BEGIN;
INSERT INTO shop.orders (customer_id, note) VALUES (:customer, repeat('n', :quantity * 50)) RETURNING order_id \gset
INSERT INTO shop.order_items VALUES (:order_id, 1, :product, :quantity);
UPDATE shop.products SET stock = stock - :quantity WHERE product_id = :product;
INSERT INTO shop.payments (order_id, amount) SELECT :order_id, :quantity * price FROM shop.products WHERE product_id = :product;
UPDATE shop.orders SET status = 'paid' WHERE order_id = :order_id;
COMMIT;
