-- The tables of a small WordPress shop, enough of them for real queries to run on. Safe to load again.
CREATE TABLE IF NOT EXISTS wp_users (
  ID bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  user_login varchar(60) NOT NULL DEFAULT '',
  user_email varchar(100) NOT NULL DEFAULT '',
  user_registered datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  UNIQUE KEY user_login_key (user_login)
) DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS wp_posts (
  ID bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  post_author bigint unsigned NOT NULL DEFAULT 0,
  post_date datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  post_content longtext NOT NULL,
  post_title text NOT NULL,
  post_status varchar(20) NOT NULL DEFAULT 'publish',
  post_type varchar(20) NOT NULL DEFAULT 'post',
  comment_count bigint NOT NULL DEFAULT 0,
  KEY type_status_date (post_type, post_status, post_date, ID),
  KEY post_author (post_author)
) DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS wp_postmeta (
  meta_id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  post_id bigint unsigned NOT NULL DEFAULT 0,
  meta_key varchar(255) DEFAULT NULL,
  meta_value longtext,
  KEY post_id (post_id),
  KEY meta_key (meta_key(191))
) DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS wp_comments (
  comment_ID bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  comment_post_ID bigint unsigned NOT NULL DEFAULT 0,
  comment_author tinytext NOT NULL,
  comment_date datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  comment_content text NOT NULL,
  comment_approved varchar(20) NOT NULL DEFAULT '1',
  KEY comment_post_ID (comment_post_ID),
  KEY approved_date (comment_approved, comment_date)
) DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS wp_options (
  option_id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  option_name varchar(191) NOT NULL DEFAULT '',
  option_value longtext NOT NULL,
  autoload varchar(20) NOT NULL DEFAULT 'yes',
  UNIQUE KEY option_name (option_name)
) DEFAULT CHARSET=utf8mb4;

-- WooCommerce's orders (high-performance order storage).
CREATE TABLE IF NOT EXISTS wp_wc_orders (
  id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  status varchar(20) NOT NULL DEFAULT 'wc-pending',
  currency varchar(10) NOT NULL DEFAULT 'KRW',
  type varchar(20) NOT NULL DEFAULT 'shop_order',
  total_amount decimal(26,8) NOT NULL DEFAULT 0,
  customer_id bigint unsigned NOT NULL DEFAULT 0,
  date_created_gmt datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  KEY status_date (type, status, date_created_gmt)
) DEFAULT CHARSET=utf8mb4;

INSERT IGNORE INTO wp_users (ID, user_login, user_email) VALUES
  (1, 'admin', 'admin@example.invalid'), (2, 'haneul', 'haneul@example.invalid'), (3, 'bada', 'bada@example.invalid');
INSERT IGNORE INTO wp_options (option_id, option_name, option_value) VALUES
  (1, 'siteurl', 'http://127.0.0.1:8088'), (2, 'blogname', '봉수'), (3, 'db_version', '60421');
INSERT IGNORE INTO wp_posts (ID, post_author, post_title, post_content, post_type) VALUES
  (1, 1, '안녕하세요', '첫 글입니다.', 'post'), (2, 2, '봉수대', '불을 피워 소식을 전합니다.', 'post'),
  (3, 1, '소개', '이 가게는 실습용입니다.', 'page'), (4, 3, '등불', '봉수대 모양의 등불', 'product');
INSERT IGNORE INTO wp_postmeta (meta_id, post_id, meta_key, meta_value) VALUES
  (1, 4, '_price', '39000'), (2, 4, '_stock', '120'), (3, 4, '_sku', 'LAMP-1');
INSERT IGNORE INTO wp_comments (comment_ID, comment_post_ID, comment_author, comment_content) VALUES
  (1, 1, 'haneul', '반갑습니다'), (2, 2, 'bada', '잘 보입니다');
INSERT IGNORE INTO wp_wc_orders (id, status, total_amount, customer_id) VALUES
  (1, 'wc-completed', 39000, 2), (2, 'wc-processing', 78000, 3);
