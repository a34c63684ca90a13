#!/bin/bash
# As the official image: copies WordPress into its volume, writes wp-config.php from WORDPRESS_DB_*, starts Apache.
set -euo pipefail
cd /var/www/html
if [ ! -e index.php ]; then
  tar -C /usr/share/wordpress -ch --exclude=./wp-content/languages . | tar -x
  rm -f wp-config.php
fi
if [ ! -e wp-config.php ]; then
  cat >wp-config.php <<PHP
<?php
define('DB_HOST', '$WORDPRESS_DB_HOST');
define('DB_USER', '$WORDPRESS_DB_USER');
define('DB_PASSWORD', trim(file_get_contents('$WORDPRESS_DB_PASSWORD_FILE')));
define('DB_NAME', '$WORDPRESS_DB_NAME');
define('DB_CHARSET', 'utf8mb4');
\$table_prefix = 'wp_';
define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
PHP
fi
export APACHE_RUN_USER=www-data APACHE_RUN_GROUP=www-data APACHE_RUN_DIR=/tmp APACHE_LOCK_DIR=/tmp APACHE_LOG_DIR=/tmp APACHE_PID_FILE=/tmp/apache2.pid
exec "$@"
