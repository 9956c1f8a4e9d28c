#!/bin/sh
# Makes the passwords of docker-compose.yml, once: nothing that is there is changed.
set -eu
cd "$(dirname "$0")"
# For people to fill in, if somebody is to be told of alerts; as long as they are empty they are not used.
for_people() {
    for name in alert_webhook_url alert_webhook_secret alert_smtp_url; do
        [ -e "secrets/$name" ] || : > "secrets/$name"
    done
}
if [ -e secrets ]; then
    for_people
    echo "secrets: there already"
    exit 0
fi
# Only its owner enters; inside a container each file is read by another user.
mkdir -m 700 secrets
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
postgres=$(random)
rabbitmq=$(random)
printf '%s' "$postgres" > secrets/postgres_password
printf '%s' "postgres://onhand:$postgres@postgres:5432/onhand" > secrets/database_url
printf '%s' "amqp://onhand:$rabbitmq@rabbitmq:5672/onhand" > secrets/broker_url
printf 'default_user = onhand\ndefault_pass = %s\ndefault_vhost = onhand\n' "$rabbitmq" > secrets/rabbitmq.conf
for_people
chmod 644 secrets/*
echo "secrets: made"
