#!/usr/bin/env bash
# A small, bounded load so that numbers move: about 5 requests and 2 statements a second, and an end by itself.
# SITE_URL: the site; MYSQL_DEFAULTS: a client's option file; what is not given is left out. ROUNDS of PAUSE seconds each (a day).
set -uo pipefail
site=${SITE_URL:-}
defaults=${MYSQL_DEFAULTS:-}
rounds=${ROUNDS:-17280}
pause=${PAUSE:-5}

visit() {
  # One connection, 24 requests: pages, a style sheet, a few that are missing.
  curl -s --max-time 4 -A 'bongsu-load/1' "$site/?page=[1-12]" "$site/style.css?v=[1-6]" "$site/about.html?ref=[1-4]" "$site/missing-[1-2].html" >/dev/null || true
}

buy() { # ROUND: rows go in, the oldest go out, so that tables stay small
  mariadb --defaults-file="$defaults" --connect-timeout=3 --default-character-set=utf8mb4 wordpress >/dev/null 2>&1 <<SQL || true
SELECT option_value FROM wp_options WHERE option_name = 'siteurl';
SELECT ID, post_title FROM wp_posts WHERE post_type = 'post' AND post_status = 'publish' ORDER BY post_date DESC LIMIT 10;
SELECT p.ID, m.meta_value FROM wp_posts p JOIN wp_postmeta m ON m.post_id = p.ID WHERE m.meta_key = '_price';
INSERT INTO wp_comments (comment_post_ID, comment_author, comment_content) VALUES (1 + $1 % 2, 'visitor', 'round $1');
INSERT INTO wp_wc_orders (status, total_amount, customer_id) VALUES (ELT(1 + $1 % 4, 'wc-pending', 'wc-processing', 'wc-completed', 'wc-failed'), 39000, 2 + $1 % 2);
UPDATE wp_posts SET comment_count = (SELECT COUNT(*) FROM wp_comments WHERE comment_post_ID = wp_posts.ID) WHERE ID < 3;
DELETE FROM wp_comments WHERE comment_ID < (SELECT * FROM (SELECT MAX(comment_ID) - 500 FROM wp_comments) AS newest);
DELETE FROM wp_wc_orders WHERE id < (SELECT * FROM (SELECT MAX(id) - 500 FROM wp_wc_orders) AS newest);
SELECT status, COUNT(*) FROM wp_wc_orders GROUP BY status;
SQL
}

for ((round = 1; round <= rounds; round++)); do
  if [ -n "$site" ]; then visit; fi
  if [ -n "$defaults" ]; then buy "$round"; fi
  sleep "$pause"
done
