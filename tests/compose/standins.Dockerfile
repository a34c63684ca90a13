# Stand-ins for the public images, as far as compose.yaml and the lab use them. See standins.sh.
ARG BASE
FROM ${BASE} AS prometheus
RUN mkdir -p /prometheus && chown 65534:65534 /prometheus
USER 65534
VOLUME /prometheus
WORKDIR /prometheus
ENTRYPOINT ["/usr/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]

FROM ${BASE} AS alertmanager
RUN mkdir -p /alertmanager && chown 65534:65534 /alertmanager
USER 65534
VOLUME /alertmanager
WORKDIR /alertmanager
ENTRYPOINT ["/usr/bin/prometheus-alertmanager"]
CMD ["--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"]

FROM ${BASE} AS nginx
RUN rm -f /etc/nginx/sites-enabled/default && ln -sf /dev/stdout /var/log/nginx/access.log && ln -sf /dev/stderr /var/log/nginx/error.log
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]

FROM ${BASE} AS mariadb
RUN printf '[mysqld]\nbind-address = 0.0.0.0\n!includedir /etc/mysql/conf.d/\n' >/etc/mysql/mariadb.conf.d/99-image.cnf && mkdir -p /docker-entrypoint-initdb.d /run/mysqld && chown mysql:mysql /run/mysqld /var/lib/mysql && chmod 1777 /run/mysqld
COPY --chmod=755 mariadb-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
VOLUME /var/lib/mysql
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["mariadbd"]

FROM ${BASE} AS wordpress
RUN rm -f /etc/apache2/sites-enabled/* && printf 'ServerName localhost\nPidFile /tmp/apache2.pid\nErrorLog /dev/stderr\nCustomLog /dev/stdout combined\nDocumentRoot /var/www/html\n<Directory /var/www/html>\n  AllowOverride All\n  Require all granted\n  FallbackResource /index.php\n</Directory>\n' >/etc/apache2/conf-enabled/site.conf && rm -rf /var/www/html
COPY --chmod=755 wordpress-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
VOLUME /var/www/html
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["apache2", "-DFOREGROUND"]

FROM ${BASE} AS postgres
COPY --chmod=755 postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
RUN mkdir -p /var/lib/postgresql/data && chown -R postgres:postgres /var/lib/postgresql && mkdir -p /run/postgresql && chmod 1777 /run/postgresql && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
