# Runs PostgreSQL in the current folder. It refuses to run as root: then it runs as the user whom its package made.
bin=
for found in "$(dirname "$(command -v postgres || echo /)")" /usr/lib/postgresql/*/bin; do
    if [ -x "$found/initdb" ] && [ -x "$found/postgres" ]; then bin=$found; fi
done
if [ -z "$bin" ]; then
    echo "PostgreSQL is not installed: apt-get install postgresql, without starting its service"
    exit 1
fi
as=
if [ "$(id -u)" = 0 ]; then as="setpriv --reuid=postgres --regid=postgres --clear-groups"; fi
if [ ! -e ready ]; then
    rm -rf data
    mkdir data
    if [ -n "$as" ]; then chown postgres data; fi
    $as "$bin/initdb" -D "$PWD/data" -U postgres --auth=trust --no-sync --locale=C.UTF-8 --encoding=UTF8 || exit 1
    : >ready
fi
# What is committed outlives the death of its processes, not that of the machine, unless `durable` says so.
keeps="-c shared_buffers=64MB -c fsync=off -c full_page_writes=off -c autovacuum_naptime=5s"
if [ -n "$durable" ]; then keeps="-c shared_buffers=1GB -c max_wal_size=8GB -c checkpoint_timeout=15min"; fi
# Counts statements and their time, planning included, for those who profile.
if [ -n "$counting" ]; then
    keeps="$keeps -c shared_preload_libraries=pg_stat_statements -c pg_stat_statements.track_planning=on"
fi
# After a kill the processes of the former server may take a moment to notice, and until then the folder is theirs.
tries=50
until $as "$bin/postgres" -D "$PWD/data" -h 127.0.0.1 -p "$POSTGRES_PORT" -c unix_socket_directories= \
    -c max_connections=200 -c synchronous_commit=on -c log_lock_waits=on $keeps; do
    tries=$((tries - 1))
    if [ "$tries" = 0 ] || [ ! -e data/postmaster.pid ]; then exit 1; fi
    sleep 0.2
done
