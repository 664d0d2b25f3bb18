-- A small shop: what quickstart and the tests back up, lose and bring back.
CREATE SCHEMA shop;

CREATE TABLE shop.customers (
    customer_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL UNIQUE,
    full_name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE shop.products (
    product_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku text NOT NULL UNIQUE,
    title text NOT NULL,
    price numeric(10, 2) NOT NULL CHECK (price >= 0),
    stock integer NOT NULL,
    attributes jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE shop.orders (
    order_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES shop.customers,
    placed_at timestamptz NOT NULL DEFAULT now(),
    status text NOT NULL DEFAULT 'placed' CHECK (status IN ('placed', 'paid', 'shipped')),
    note text
);
CREATE INDEX orders_by_customer ON shop.orders (customer_id, placed_at);

CREATE TABLE shop.order_items (
    order_id bigint NOT NULL REFERENCES shop.orders ON DELETE CASCADE,
    line integer NOT NULL,
    product_id bigint NOT NULL REFERENCES shop.products,
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, line)
);

CREATE TABLE shop.payments (
    payment_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    order_id bigint NOT NULL REFERENCES shop.orders ON DELETE CASCADE,
    amount numeric(12, 2) NOT NULL,
    paid_at timestamptz NOT NULL DEFAULT now()
);

CREATE MATERIALIZED VIEW shop.revenue AS
    SELECT p.sku, sum(i.quantity * p.price) AS revenue
    FROM shop.order_items i JOIN shop.products p USING (product_id)
    GROUP BY p.sku;

INSERT INTO shop.customers (email, full_name)
    SELECT format('customer%s@example.org', n), format('Customer %s', n) FROM generate_series(1, 2000) n;
INSERT INTO shop.products (sku, title, price, stock, attributes)
    SELECT format('SKU-%s', n), format('Product %s', n), n % 90 + 0.99, 100000,
           jsonb_build_object('colour', (ARRAY['red', 'green', 'blue'])[n % 3 + 1], 'weight', n)
    FROM generate_series(1, 500) n;
INSERT INTO shop.orders (customer_id, status, note)
    SELECT n % 2000 + 1, 'paid', repeat(md5(n::text), n % 40) FROM generate_series(1, 20000) n;
INSERT INTO shop.order_items (order_id, line, product_id, quantity)
    SELECT o.order_id, l, (o.order_id * l) % 500 + 1, l FROM shop.orders o, generate_series(1, 3) l;
INSERT INTO shop.payments (order_id, amount)
    SELECT o.order_id, 10 + o.order_id % 90 FROM shop.orders o;
REFRESH MATERIALIZED VIEW shop.revenue;
